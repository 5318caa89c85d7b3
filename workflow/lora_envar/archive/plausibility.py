"""Whether values are possible in the atmosphere, in the units of the state, and what they look like if they are not.

The ranges are wide, so that no state that nature or a model is known to reach is refused. They detect units that
are missing or wrong, and fill values that a file does not declare.
"""

from dataclasses import dataclass

import numpy as np

from ..fields.constants import GRAVITY
from ..fields.state import CHANNELS, LEVELS, Channel
from .valid_times import describe_times

#: geopotential height of `LEVELS` in the ICAO standard atmosphere (Doc 7488), m
_STANDARD_HEIGHT = (20576, 16180, 13608, 11784, 10363, 9164, 7185, 5574, 4206, 3012, 1457, 762, 111)
#: largest specific humidity of `LEVELS`, kg kg-1: saturation at the highest temperatures seen there, twice over
_LARGEST_HUMIDITY = (5e-4, 1e-3, 2e-3, 3e-3, 5e-3, 8e-3, 1.5e-2, 2e-2, 3e-2, 3.5e-2, 4e-2, 5e-2, 5e-2)
#: share of the largest humidity by which spectral truncation may go below 0; the example's world reaches 2.4 %
_RINGING = 0.05
#: largest wind component of `LEVELS`, m s-1; radiosondes have measured 115 in jets (Ishigaki, 1970), and the polar
#: night jet is stronger at 50 hPa
_LARGEST_WIND = (200, 200, 200, 200, 200, 200, 180, 160, 150, 140, 130, 120, 120)
#: of the surface. World records (WMO archive of weather and climate extremes, wmo.asu.edu): 184.0 and 329.9 K at
#: stations, a gust of 113 m s-1 (Barrow Island, 1996), 870 hPa (Tip, 1979) and 1085 hPa; reduced to sea level from
#: plateaus, models reach somewhat more
_SURFACE = {"u10": (-120.0, 120.0), "v10": (-120.0, 120.0), "t2m": (165.0, 340.0), "msl": (85000.0, 111000.0)}
#: values that files put where there are none: of packed 16-bit integers, of netCDF's C library, of NCEP, CMIP, MERRA-2
_FILLS = (-32768.0, -32767.0, 32767.0, 9.96921e36, -9999.0, 9999.0, -999.0, 9.999e20, 1e20, 1e15, -9.99e33, 9.999e8)


@dataclass(frozen=True)
class _Mistake:
    """A wrong unit: what its values look like, and the conversion to the state's, `factor` x value + `offset`."""

    looks_like: str
    factor: float
    offset: float = 0.0


_TEMPERATURE = (
    _Mistake("degrees Celsius", 1.0, 273.15),
    _Mistake("degrees Fahrenheit", 5 / 9, 273.15 - 32 * 5 / 9),
)
_WIND = (_Mistake("cm s-1", 0.01),)
_MISTAKES = {
    "t2m": _TEMPERATURE,
    "t": _TEMPERATURE,
    "msl": (
        _Mistake("hPa", 100.0),
        _Mistake("kPa", 1000.0),
        _Mistake("Pa in a file that says hPa", 0.01),
    ),
    "z": (
        _Mistake("geopotential height in m", GRAVITY),
        _Mistake("geopotential height in dam", 10 * GRAVITY),
        _Mistake("geopotential in m2 s-2, in a file that says height in m", 1 / GRAVITY),
    ),
    "q": (_Mistake("g kg-1", 1e-3), _Mistake("mg kg-1", 1e-6)),
    "u10": _WIND,
    "v10": _WIND,
    "u": _WIND,
    "v": _WIND,
}


def plausible_range(channel: Channel) -> tuple[float, float]:
    """The smallest and largest plausible value of a channel, in the units of the state."""
    if channel.level is None:
        return _SURFACE[channel.variable]
    index = LEVELS.index(channel.level)
    if channel.variable == "z":
        # the thickness of a layer goes with its temperature: 250 K at 500 hPa, 22 % less to 15 % more; below it,
        # pressure at sea level of 870 to 1085 hPa
        height = _STANDARD_HEIGHT[index]
        return GRAVITY * (0.78 * height - 1200.0), GRAVITY * (1.15 * height + 800.0)
    if channel.variable == "t":
        # the coldest winters at 50 hPa reach 175 K, below-ground temperatures of Antarctica at 1000 hPa no less; a
        # stratosphere that warms suddenly 270 K
        return 150.0, 300.0 if channel.level <= 300 else 345.0
    if channel.variable == "q":
        return -_RINGING * _LARGEST_HUMIDITY[index], _LARGEST_HUMIDITY[index]
    return -float(_LARGEST_WIND[index]), float(_LARGEST_WIND[index])


def refuse_implausible(states: np.ndarray, times: np.ndarray, source: str, named_last: tuple[str, ...] = ()) -> None:
    """Refuse states with values that are impossible in the atmosphere; what is not a number is ignored.

    Parameters
    ----------
    states : (time, 69, lat, lon)
        In the units of the state.
    times : (time,)
        datetime64.
    source : str
        For messages.
    named_last : tuple of str
        Variables that the message names only if all others are plausible.

    Raises
    ------
    ValueError
        The message gives the variable, level, time, values and range, and what the values look like.
    """
    bounds = np.array([plausible_range(channel) for channel in CHANNELS])
    low = np.fmin.reduce(states, axis=(0, 2, 3))
    high = np.fmax.reduce(states, axis=(0, 2, 3))
    bad = np.flatnonzero((low < bounds[:, 0]) | (high > bounds[:, 1]))
    if not bad.size:
        return
    bad = np.array(sorted(bad, key=lambda index: CHANNELS[index].variable in named_last))
    channel = CHANNELS[bad[0]]
    least, most = bounds[bad[0]]
    values = states[:, bad[0]]
    outside = (values < least) | (values > most)
    when = np.flatnonzero(outside.any(axis=(1, 2)))
    field = values[when[0]]
    others = [CHANNELS[index].name for index in bad[1:]]
    more = ""
    if others:
        rest = f" and {len(others) - 3} more" if len(others) > 3 else ""
        more = f" (so do {', '.join(others[:3])}{rest})"
    raise ValueError(
        f"{source}: {channel.name} at {describe_times(times[when[:1]])} has values from {np.nanmin(field):.5g} to "
        f"{np.nanmax(field):.5g}{more}; {int(outside[when[0]].sum())} of {field.size} are not within {least:g} to "
        f"{most:g} {channel.units}{_looks_like(channel.variable, field, least, most)}"
    )


def refuse_fraction(humidity: np.ndarray, name: str, source: str) -> None:
    """Refuse a relative humidity in per cent that looks like a fraction, or is impossible.

    Parameters
    ----------
    humidity : array
        Of any shape.
    name, source : str
        For the message.

    Raises
    ------
    ValueError
        The message gives the values, and what they look like.
    """
    low = float(np.nanmin(humidity, initial=np.inf))
    high = float(np.nanmax(humidity, initial=-np.inf))
    # supersaturation over ice reaches 170 % in models; spectral truncation goes some per cent below 0
    if (1.5 < high < 250.0 and low > -50.0) or not np.isfinite([low, high]).all():
        return
    guess = _fill(low, high) or (": this looks like a fraction" if -0.5 < low and high <= 1.5 else "")
    raise ValueError(
        f"{source}: {name} has values from {low:.5g} to {high:.5g}, which cannot be a relative humidity in per "
        f"cent{guess}; give its true units in the attribute units"
    )


def _looks_like(variable: str, field: np.ndarray, least: float, most: float) -> str:
    low = float(np.nanmin(field))
    high = float(np.nanmax(field))
    fill = _fill(low, high)
    if fill:
        return f"{fill}; declare it in the attribute _FillValue"
    if low == high:
        return f": this looks like a field without data, because it is {low:g} everywhere; give a field with data"
    for mistake in _MISTAKES[variable]:
        if all(least <= mistake.factor * value + mistake.offset <= most for value in (low, high)):
            return f": this looks like {mistake.looks_like}; convert it, or give its true units in the attribute units"
    return "; check that its attribute units is right, and that the file is complete"


def _fill(low: float, high: float) -> str:
    """A remark on an extreme value that files use as a fill value, or nothing."""
    for value in (low, high):
        if any(np.isclose(value, fill, rtol=1e-3) for fill in _FILLS) or abs(value) > 1e12:
            return f": {value:.6g} looks like a fill value"
    return ""
