"""Thinning: one datum per type, layer and cell, or the mean of all that are there."""

import numpy as np
import pandas as pd

from ..fields.constants import EARTH_RADIUS_KM
from .ascents import ascent_numbers, is_ascent
from .catalogue import types_among
from .table import Observations

#: what places a datum in time and space; the mean of these is that of a superobservation
_MEANS = ("value", "pressure", "height", "latitude", "time_offset")
#: mass and wind of one place are different reports, and so are ascents and single levels: types keep apart. Of data
#: placed by heights and by pressures there is no mean
_CELL = ["time", "variable", "by_height", "layer", "band", "column"]


def thin(
    table: Observations, candidates: np.ndarray, size_km: float, superobbing: bool
) -> tuple[np.ndarray, Observations]:
    """Choose the rows that stay, one per type, layer and cell; with superobbing, they become the means of their cells.

    Parameters
    ----------
    candidates : (rows,) array of bool
        Data that other checks have not rejected.
    size_km : float
        Of cells, in both directions.
    superobbing : bool
        Whether the datum that stays gets the mean value and position of its cell.

    Returns
    -------
    kept : (rows,) array of bool
    table : Observations
    """
    ordered = _ordered_by_cell(table, candidates, size_km)
    first = ~ordered.duplicated(_CELL)
    kept = np.zeros(len(table), dtype=bool)
    kept[ordered.index[first]] = True
    if not superobbing:
        return kept, table
    group = ordered.groupby(_CELL, sort=False).ngroup().to_numpy()
    rows = ordered.index.to_numpy()
    chosen = ordered.index[first].to_numpy()
    size = np.bincount(group)
    changed = {}
    for name in _MEANS:
        values = getattr(table, name).copy()
        values[chosen] = np.bincount(group, values[rows].astype(float)) / size
        changed[name] = values
    longitude = table.longitude.copy()
    turned = (longitude[rows] - longitude[chosen][group] + 180.0) % 360.0 - 180.0  # cells may lie across 0
    longitude[chosen] = (longitude[chosen] + np.bincount(group, turned.astype(float)) / size) % 360.0
    return kept, table.with_columns(longitude=longitude, **changed)


def _ordered_by_cell(table: Observations, candidates: np.ndarray, size_km: float) -> pd.DataFrame:
    """The cell of each candidate; those of a cell follow each other, the nearest in time first."""
    names = ("variable", "pressure", "time", "station")
    frame = pd.DataFrame({name: getattr(table, name)[candidates] for name in names}, np.flatnonzero(candidates))
    latitude = table.latitude[candidates].astype(float)
    longitude = table.longitude[candidates].astype(float)
    band_height = np.degrees(size_km / EARTH_RADIUS_KM)
    band = ((latitude + 90.0) // band_height).astype(int)
    centre = np.radians((band + 0.5) * band_height - 90.0)
    count = np.maximum(1, np.rint(360.0 / band_height * np.maximum(np.cos(centre), 0.0))).astype(int)
    frame = frame.assign(
        by_height=np.isfinite(table.height[candidates]),
        layer=_layers(frame),
        band=band,
        column=(longitude % 360.0 / 360.0 * count).astype(int) % count,
        distance=_distance_in_time(table, candidates)[candidates],
    )
    return frame.sort_values([*_CELL, "distance", "station"], kind="stable")


def _layers(frame: pd.DataFrame) -> np.ndarray:
    """Number of the layer of each datum, among those of its type."""
    depth = np.log(frame.pressure.fillna(1000.0).to_numpy(float))
    variable = frame.variable.to_numpy()
    layer = np.zeros(len(frame), dtype=int)
    for kind in types_among(variable):
        rows = variable == kind.code
        layer[rows] = np.searchsorted(kind.layer_edges, depth[rows])
    return layer


def _distance_in_time(table: Observations, candidates: np.ndarray) -> np.ndarray:
    """Hours from each row to the valid time; rows of an ascent share those of its nearest level: it stays whole."""
    distance = np.abs(table.time_offset.astype(float))
    rows = candidates & is_ascent(table)
    numbers = ascent_numbers(table, rows)[rows]
    nearest = np.full(numbers.max(initial=-1) + 1, np.inf)
    np.minimum.at(nearest, numbers, distance[rows])
    distance[rows] = nearest[numbers]
    return distance
