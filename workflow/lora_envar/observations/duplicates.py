"""Reports that arrived twice: copies that differ only by rounding of position and time, and repeated reports."""

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from .ascents import is_ascent
from .table import Observations

#: largest differences between copies of a datum: positions are given in hundredths or in tenths of degrees, pressures
#: in tenths of hPa, times of ascents to the hour. The last places are single precision of the table
POSITION = 0.1 + 1e-4  # degrees
PRESSURE = 0.06  # hPa
ASCENT_HOURS = 0.5 + 1e-4


def duplicates(table: Observations, candidates: np.ndarray) -> np.ndarray:
    """Rows of the same station, type, variable and level, at the same place, as one that is nearer to the valid time.

    Copies of a report are found in this way, and so are repeated reports of a station in the window. Of ascents, only
    copies are found: two ascents in a window are two measurements.

    Parameters
    ----------
    candidates : (rows,) array of bool
        Data that other checks have not rejected.

    Returns
    -------
    (rows,) array of bool
    """
    result = np.zeros(len(table), dtype=bool)
    rows = np.flatnonzero(candidates)
    names = ("station", "report_type", "variable", "time")
    group = pd.DataFrame({name: getattr(table, name)[rows] for name in names}).groupby(list(names)).ngroup().to_numpy()
    shared = np.bincount(group, minlength=1)[group] > 1
    rows = rows[shared]
    group = group[shared]
    # the first of each pair is the one that stays
    order = np.argsort(np.abs(table.time_offset[rows]), kind="stable")
    rows = rows[order]
    pressure = np.where(np.isfinite(table.pressure[rows]), table.pressure[rows], -1.0)
    hours = np.where(is_ascent(table)[rows], table.time_offset[rows], 0.0)
    # in units of the largest differences; groups are far apart, longitude is periodic
    points = np.column_stack(
        [
            10.0 * group[order],
            pressure / PRESSURE,
            hours / ASCENT_HOURS,
            table.latitude[rows] / POSITION,
            table.longitude[rows].astype(float) % 360.0 / POSITION,
        ]
    )
    # all but longitude are made positive, as trees of periodic boxes want them
    points[:, :4] -= points[:, :4].min(axis=0, initial=0.0)
    tree = cKDTree(points, boxsize=[0.0, 0.0, 0.0, 0.0, 360.0 / POSITION])
    pairs = np.sort(tree.query_pairs(1.0, p=np.inf, output_type="ndarray"), axis=1)
    for first, second in pairs[np.argsort(pairs[:, 1], kind="stable")].tolist():
        result[rows[second]] |= not result[rows[first]]
    return result
