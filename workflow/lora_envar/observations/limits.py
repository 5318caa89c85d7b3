"""What is possible of observations: limits beyond which a number is no observation in the units of the state."""

import numpy as np

from ..fields.constants import GRAVITY
from ..fields.state import VARIABLES

#: smallest and largest value that is possible, in the units of the state; z less that of the standard atmosphere
GROSS_LIMITS = {
    "u10": (-80.0, 80.0),
    "v10": (-80.0, 80.0),
    "t2m": (180.0, 335.0),
    "msl": (8.7e4, 1.09e5),
    "z": (-1.2e4, 1.2e4),
    "q": (0.0, 0.04),
    "u": (-150.0, 150.0),
    "v": (-150.0, 150.0),
    "t": (150.0, 335.0),
}
_LIMITS = np.array([GROSS_LIMITS[name] for name in VARIABLES])
_HEIGHT = list(VARIABLES).index("z")

#: of the width of the limits, on both sides: what errors and simulated worlds may add. Fill values, degrees Celsius,
#: hPa and g/kg lie beyond it. The stratosphere of the example's world is 0.4 of the width of z lower than ours
MARGINS = {"z": 1.0}
MARGIN = 0.5  # of all others
LARGEST_TIME_OFFSET = 24.0  # hours


def standard_geopotential(pressure: np.ndarray) -> np.ndarray:
    """Geopotential of the ICAO standard atmosphere, m2 s-2, of pressure in hPa; isothermal above 226 hPa."""
    height = 44330.8 * (1.0 - (np.maximum(pressure, 226.32) / 1013.25) ** 0.190263)
    return GRAVITY * (height + 6341.6 * np.log(226.32 / np.minimum(pressure, 226.32)))


def outside_of_limits(variable, value, pressure, margin=0.0) -> np.ndarray:
    """Which values are not possible, shape (rows,); what is not a number is not.

    Parameters
    ----------
    variable : (rows,) array of int
        Codes, see `table.CODES`.
    value : (rows,) array
        In the units of the state.
    pressure : (rows,) array
        In hPa; looked at for z alone.
    margin : float or (rows,) array
        By how much of their width the limits are widened on both sides.
    """
    lower, upper = _LIMITS[variable].T
    wider = margin * (upper - lower)
    departure = value.astype(float)
    heights = variable == _HEIGHT
    departure[heights] -= standard_geopotential(pressure[heights].astype(float))
    return ~((departure >= lower - wider) & (departure <= upper + wider))


def implausible(columns: dict[str, np.ndarray], passed: np.ndarray) -> str | None:
    """What is wrong with the columns of a table, in words; None if nothing is.

    Fill values and numbers in other units must not pass for data, whoever wrote the table.

    Parameters
    ----------
    columns : dict
        Name to column, (rows,) each, of `table.Observations`.
    passed : (rows,) array of bool
        Data that are used, or kept to judge the analysis; their values are looked at.
    """
    names = list(VARIABLES)
    codes = columns["variable"]
    for name, low, high in (("variable", 0, len(names) - 1), ("latitude", -90, 90), ("longitude", -360, 720)):
        bad = ~((columns[name] >= low) & (columns[name] <= high))
        if bad.any():
            return f"column {name} holds {columns[name][bad][0]:g}, which is not within {low} and {high}"
    width = (_LIMITS[:, 1] - _LIMITS[:, 0])[codes]
    bad = passed & (columns["error"] > width)
    if bad.any():
        row = np.flatnonzero(bad)[0]
        name = names[codes[row]]
        return f"column error holds {columns['error'][row]:g} of {name}, which is larger than all that {name} can be"
    bad = passed & ~(np.abs(columns["time_offset"]) <= LARGEST_TIME_OFFSET)
    if bad.any():
        return f"column time_offset holds {columns['time_offset'][bad][0]:g} hours, more than a day"
    margin = np.array([MARGINS.get(name, MARGIN) for name in names])[codes]
    bad = passed & outside_of_limits(codes, columns["value"], columns["pressure"], margin)
    if bad.any():
        row = np.flatnonzero(bad)[0]
        name = names[codes[row]]
        units = VARIABLES[name][2]
        return (
            f"column value holds {columns['value'][row]:g} of {name} at {columns['pressure'][row]:g} hPa, to be used, "
            f"which is no value in {units}: a fill value, or other units"
        )
    return None
