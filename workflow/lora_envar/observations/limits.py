"""Limits of observations, beyond which a number cannot be an observation in the units of its type."""

from collections.abc import Mapping

import numpy as np

from .catalogue import CODES, TYPES, by_code, name_of, types_among

_LIMITS = by_code(lambda kind: kind.limits, (np.nan, np.nan))
_MARGINS = by_code(lambda kind: kind.margin, np.nan)
LARGEST_TIME_OFFSET = 24.0  # hours


def outside_of_limits(
    variable: np.ndarray, value: np.ndarray, pressure: np.ndarray, margin: float | np.ndarray = 0.0
) -> np.ndarray:
    """Which values are impossible, (rows,); what is not a number is impossible too.

    Parameters
    ----------
    variable : (rows,) array of int
        Codes, see `catalogue.CODES`.
    value : (rows,) array
        In the units of the types.
    pressure : (rows,) array
        In hPa; used where the limits depend on it.
    margin : float or (rows,) array
        By how much of their width the limits are widened on both sides.
    """
    lower, upper = _LIMITS[variable].T
    wider = margin * (upper - lower)
    limited = value.astype(float)
    for kind in types_among(variable):
        rows = variable == kind.code
        limited[rows] = kind.limited(limited[rows], pressure[rows].astype(float))
    return ~((limited >= lower - wider) & (limited <= upper + wider))


def implausible(columns: Mapping[str, np.ndarray], passed: np.ndarray) -> str | None:
    """What is wrong with the columns of a table, in words; None if nothing is.

    Fill values and numbers in other units must not be taken for data, whoever wrote the table.

    Parameters
    ----------
    columns : mapping
        Name to column, (rows,) each, of `table.Observations`.
    passed : (rows,) array of bool
        Data that are used, or kept to judge the analysis; only their values are checked.
    """
    codes = columns["variable"]
    bad = ~np.isin(codes, list(CODES.values()))
    if bad.any():
        return f"column variable has the value {codes[bad][0]:g}, which is not the code of any type of observation"
    for name, low, high in (("latitude", -90, 90), ("longitude", -360, 720)):
        bad = ~((columns[name] >= low) & (columns[name] <= high))
        if bad.any():
            return f"column {name} has the value {columns[name][bad][0]:g}, which is not within {low} and {high}"
    width = (_LIMITS[:, 1] - _LIMITS[:, 0])[codes]
    bad = passed & (columns["error"] > width)
    if bad.any():
        row = np.flatnonzero(bad)[0]
        name = name_of(codes[row])
        return (
            f"column error has the value {columns['error'][row]:g} for {name}, which is more than {name} itself can "
            "vary"
        )
    bad = passed & ~(np.abs(columns["time_offset"]) <= LARGEST_TIME_OFFSET)
    if bad.any():
        return f"column time_offset has the value {columns['time_offset'][bad][0]:g} hours, which is more than a day"
    bad = passed & outside_of_limits(codes, columns["value"], columns["pressure"], _MARGINS[codes])
    if bad.any():
        row = np.flatnonzero(bad)[0]
        name = name_of(codes[row])
        height = columns["height"][row]
        place = f"{height:g} m" if np.isfinite(height) else f"{columns['pressure'][row]:g} hPa"
        return (
            f"column value has {columns['value'][row]:g} for {name} at {place}, which is impossible in "
            f"{TYPES[name].units}; it may be a fill value, or in other units"
        )
    return None
