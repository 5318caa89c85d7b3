"""Balloon ascents: which data belong to one, and whether its heights and temperatures agree with each other.

A station may launch several balloons within a window. They are told apart by time, position and pressure: from level to
level an ascent goes up, and does not leap.
"""

import numpy as np
import pandas as pd

from ..fields.constants import GAS_CONSTANT
from .catalogue import CODES
from .table import Observations

KAPPA = 0.2857  # R / cp of dry air

#: beside so many standard deviations of the errors of two neighbours, the mean temperature of a layer may differ by
#: this from what its heights say, and a temperature be colder by this than dry adiabatic ascent from the level below
DEVIATIONS = 3.0
LAYER_TEMPERATURE = 5.0  # K
SUPERADIABATIC = 1.0  # K

#: report types of ascents, mass and wind
TYPES = (120, 121, 122, 220, 221, 222)
#: from one level of an ascent to the next: a balloon rises by 5 m/s, so 4 km take a quarter of an hour, in which a jet
#: of 100 m/s carries it 80 km
LONGEST_LEAP_HOURS = 0.5
LONGEST_LEAP_DEGREES = 1.5
RISE = 2.5  # of -ln p in an hour: 5 m/s where pressure falls by a factor of e within 7 km


def is_ascent(table: Observations) -> np.ndarray:
    """Which rows belong to ascents, (rows,)."""
    return np.isin(table.report_type, TYPES)


def ascent_numbers(table: Observations, rows: np.ndarray) -> np.ndarray:
    """A number for each ascent: rows that share it were measured by one balloon.

    Parameters
    ----------
    rows : (rows,) array of bool
        Which data to number; all must have report types of ascents.

    Returns
    -------
    (rows,) array of int
        -1 for all other data.
    """
    numbers = np.full(len(table), -1)
    names = ("station", "report_type", "time", "time_offset", "latitude", "longitude")
    frame = pd.DataFrame({name: getattr(table, name)[rows] for name in names}, index=np.flatnonzero(rows))
    if frame.empty:
        return numbers
    # a point is all that was measured at one time and place: a level of a drifting balloon, or a whole ascent
    point = frame.groupby(list(names), sort=False).ngroup()
    pressure = pd.Series(table.pressure[rows].astype(float), frame.index).fillna(np.inf)
    points = frame.groupby(point).first()
    points["highest"] = pressure.groupby(point).max()
    points["lowest"] = pressure.groupby(point).min()
    points["launches"] = points.groupby(["station", "report_type", "time"], sort=False).ngroup()
    order = ["launches", "time_offset", "highest"]
    points = points.sort_values(order, ascending=[True, True, False], kind="stable")
    columns = points[["time_offset", "latitude", "longitude", "highest", "lowest"]].to_numpy(float)
    # nothing goes on after a pause; most of what is between pauses is one ascent from its first point to its last
    pause = (np.diff(points.launches) != 0) | (np.diff(columns[:, 0]) > LONGEST_LEAP_HOURS)
    starts = np.flatnonzero(np.append(True, pause))
    leaps = np.append(False, ~pause & ~_continues(columns[:-1].T, columns[1:].T))
    several = np.add.reduceat(leaps, starts) > 0
    of_point = np.empty(len(points), dtype=int)
    count = 0
    for first, end, mixed in zip(starts, np.append(starts[1:], len(points)), several, strict=True):
        chains = _chains(columns[first:end]) if mixed else np.zeros(end - first, dtype=int)
        of_point[points.index[first:end]] = count + chains
        count += chains.max() + 1
    numbers[frame.index] = of_point[point]
    return numbers


def _continues(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Whether a balloon may move from one point to the next; columns: time, latitude, longitude, most and least p."""
    east = (after[2] - before[2] + 180.0) % 360.0 - 180.0
    distance = np.hypot(after[1] - before[1], east * np.cos(np.radians(after[1])))
    return (distance <= LONGEST_LEAP_DEGREES) & (after[3] <= before[4])


def _chains(points: np.ndarray) -> np.ndarray:
    """The ascent of each point, in order of time: among those that it may continue, the one with the likeliest rise."""
    last: dict[int, np.ndarray] = {}  # of each ascent that may go on
    chosen: list[int] = []
    for point in points:
        last = {number: before for number, before in last.items() if point[0] - before[0] <= LONGEST_LEAP_HOURS}
        misfits = {number: _misfit(before, point) for number, before in last.items() if _continues(before, point)}
        best = min(misfits, key=lambda number: misfits[number], default=max(chosen, default=-1) + 1)
        last[best] = point
        chosen.append(best)
    return np.array(chosen)


def _misfit(before: np.ndarray, after: np.ndarray) -> float:
    """Difference between the step of ln p from one point to the next and the rise of a balloon in that time."""
    if not np.isfinite(before[4]):
        return 0.0
    return abs(float(np.log(before[4] / after[3])) - RISE * (after[0] - before[0]))


def inconsistent_in_the_vertical(table: Observations, candidates: np.ndarray) -> np.ndarray:
    """Heights and temperatures of ascents (report types 120 to 122) that contradict each other, or are superadiabatic.

    Parameters
    ----------
    candidates : (rows,) array of bool
        Data that other checks have not rejected.

    Returns
    -------
    (rows,) array of bool
    """
    result = np.zeros(len(table), dtype=bool)
    # the pressures of data that are placed by heights are no measurements
    rows = candidates & np.isin(table.report_type, TYPES[:3]) & ~np.isfinite(table.height)
    rows &= np.isin(table.variable, (CODES["t"], CODES["z"], CODES["q"]))
    frame = pd.DataFrame({"variable": table.variable[rows], "pressure": table.pressure[rows]}, np.flatnonzero(rows))
    for _, profile in frame.groupby(ascent_numbers(table, rows)[rows], sort=False):
        levels = {name: _profile(profile, name) for name in ("t", "z", "q")}
        temperature = levels["t"]
        if len(temperature) < 2:
            continue
        depth = -np.log(table.pressure[temperature].astype(float))
        kelvin = table.value[temperature].astype(float)
        adiabatic = kelvin[:-1] * np.exp(-KAPPA * np.diff(depth))
        allowed = SUPERADIABATIC + _of_pairs(table.error[temperature].astype(float))
        result[temperature[1:][kelvin[1:] < adiabatic - allowed]] = True
        result[_not_hydrostatic(table, levels, depth, kelvin)] = True
    return result


def _of_pairs(error: np.ndarray) -> np.ndarray:
    """The difference that the errors of neighbours allow."""
    return DEVIATIONS * np.hypot(error[1:], error[:-1])


def _profile(profile: pd.DataFrame, name: str) -> np.ndarray:
    """Rows of a variable, from the ground up."""
    rows = profile.index[profile.variable == CODES[name]].to_numpy()
    return rows[np.argsort(-profile.pressure[rows].to_numpy(), kind="stable")]


def _not_hydrostatic(
    table: Observations, levels: dict[str, np.ndarray], depth: np.ndarray, kelvin: np.ndarray
) -> np.ndarray:
    """Rows of an ascent to be rejected.

    Of a layer that is not hydrostatic, this is the height or temperature that makes the layer beside it wrong, too, or
    else both temperatures.

    Parameters
    ----------
    levels : dict
        t, z, q -> rows of the ascent, from the ground up.
    depth, kelvin : (rows of t,)
        -ln p, and temperature.
    """
    nothing = np.zeros(0, dtype=int)
    temperature = levels["t"]
    heights = levels["z"]
    humidity = levels["q"]
    if len(heights) < 2:
        return nothing
    moist = np.zeros_like(kelvin)
    if len(humidity):
        moist = np.interp(depth, -np.log(table.pressure[humidity].astype(float)), table.value[humidity].astype(float))
    virtual = kelvin * (1.0 + 0.608 * moist)
    integral = np.concatenate([[0.0], np.cumsum((virtual[1:] + virtual[:-1]) / 2 * np.diff(depth))]) * GAS_CONSTANT
    level = -np.log(table.pressure[heights].astype(float))
    inside = (level >= depth[0]) & (level <= depth[-1])
    heights = heights[inside]
    level = level[inside]
    if len(heights) < 2:
        return nothing
    residual = np.diff(table.value[heights].astype(float)) - np.diff(np.interp(level, depth, integral))
    error = table.error[heights].astype(float)
    bad = np.abs(residual) > GAS_CONSTANT * LAYER_TEMPERATURE * np.diff(level) + _of_pairs(error)
    bad_level = np.append(True, bad) & np.append(bad, True)
    unexplained = bad & ~bad_level[:-1] & ~bad_level[1:]
    # a wrong height makes one layer too thick and the next too thin, a wrong temperature both alike
    alike = np.append(0.0, residual) * np.append(residual, 0.0) > 0
    layer = np.clip(np.searchsorted(level, depth, side="right") - 1, 0, len(bad) - 1)
    wrong = unexplained[layer] & (depth > level[layer]) & (depth < level[layer + 1])
    wrong |= np.isin(depth, level[bad_level & alike])
    return np.concatenate([heights[bad_level & ~alike], temperature[wrong]])
