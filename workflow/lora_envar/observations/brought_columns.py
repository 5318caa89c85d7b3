"""Columns of tables that a user brings, one row per datum; each is checked, with one clear message if it is wrong.

Columns, in any order; those of `REQUIRED` must be there:

* variable: name of a type of observation (`observations/types/`)
* value: in the units of the type
* latitude, longitude: degrees, -90 to 90 and -180 to 360
* time: ISO 8601, in UTC unless it says otherwise
* pressure (hPa) or height (geopotential height, m): one of both for every datum above the surface, none at the surface
* error: standard deviation of the observation error, in the units of the type; where it is missing, the table of errors
  or the type itself says it
* station: eight characters at most. Data of one station are withheld together, so a profile should have a name of its
  own; where it is missing, all data of a place, to a tenth of a degree, are of one station
* type: NCEP's report type, 0 where it is missing
* elevation: height of the station above the sea, m
* quality: NCEP's quality mark, 2 (not checked) where it is missing
"""

import difflib
import hashlib
from os import PathLike

import numpy as np
import pandas as pd

from .catalogue import CODES, TYPES, at_surface, names_of
from .names import as_names

REQUIRED = ("variable", "value", "latitude", "longitude", "time")
OPTIONAL = ("error", "pressure", "height", "station", "type", "elevation", "quality")
#: of these, those that are texts
TEXTS = ("variable", "time", "station")

#: column of numbers -> smallest and largest that is possible, and what they should be
_RANGES = {
    "value": (-np.inf, np.inf, "a number"),
    "error": (0.0, np.inf, "a number above zero"),
    "latitude": (-90.0, 90.0, "degrees from -90 to 90"),
    "longitude": (-180.0, 360.0, "degrees from -180 to 360"),
    "pressure": (0.0, 1200.0, "hPa from 0 to 1200"),
    "height": (-1e3, 1e5, "m from -1000 to 100000"),
    "type": (-32768.0, 32767.0, "a whole number"),
    "elevation": (-1e3, 1e4, "m from -1000 to 10000"),
    "quality": (0.0, 31.0, "a quality mark from 0 to 31"),
}
#: NCEP's quality mark of data without one
NOT_CHECKED = 2.0
_ABOVE_ZERO = ("error", "pressure")

FilePath = str | PathLike[str]


def checked(path: FilePath, frame: pd.DataFrame) -> pd.DataFrame:
    """Check the columns of a table, and fill in optional ones that are missing.

    Parameters
    ----------
    path : path
        Of the file, for messages.
    frame : DataFrame
        The columns of the file: all of `REQUIRED`, and any of `OPTIONAL`.

    Returns
    -------
    DataFrame
        variable (codes), value, error, latitude, longitude, pressure, height, type, elevation (not a number where they
        are missing), quality, station (bytes), hours (since 1970).

    Raises
    ------
    ValueError
        If a value in a column is impossible; the message names the column and the first such row.
    """
    columns = pd.DataFrame({"variable": _codes(path, frame.variable)}, frame.index)
    for name in _RANGES:
        optional = name in OPTIONAL
        given = frame[name] if name in frame else pd.Series(np.nan, frame.index)
        columns[name] = _numbers(path, name, given, optional)
    columns["hours"] = _hours(path, frame.time)
    columns["type"] = columns.type.fillna(0.0)
    columns["quality"] = columns.quality.fillna(NOT_CHECKED)
    fraction = columns.type % 1.0 != 0.0
    if fraction.any():
        raise _refused(path, "type", fraction, columns.type, "is not a whole number; give NCEP's report type")
    _check_places(path, columns)
    given = frame.station if "station" in frame else pd.Series(None, frame.index, dtype=object)
    columns["station"] = _stations(path, given, columns)
    return columns


def _refused(path: FilePath, name: str, wrong: pd.Series, values: pd.Series, said: str) -> ValueError:
    """The error for a column: its first wrong value, and the number of its row."""
    row = int(np.flatnonzero(wrong)[0])
    value = values.iloc[row]
    shown = f"{value:g}" if isinstance(value, float) else repr(value)
    more = int(wrong.sum()) - 1
    others = f" (and {more} more)" if more else ""
    return ValueError(f"{path}: column {name}: the value {shown} in row {row + 1}{others} {said}")


def _codes(path: FilePath, given: pd.Series) -> np.ndarray:
    """The codes of types that are given by name."""
    names = given.astype(object).where(given.notna(), "").astype(str).str.strip()
    unknown = ~names.isin(list(TYPES))
    if unknown.any():
        name = names[unknown].iloc[0]
        known = {
            **{kind.long_name.lower(): short for short, kind in TYPES.items()},
            **dict(zip(TYPES, TYPES, strict=True)),
        }
        close = difflib.get_close_matches(name.lower(), list(known), 1)
        hint = f"did you mean {known[close[0]]}?" if close else f"known: {', '.join(TYPES)}"
        raise _refused(path, "variable", unknown, names, f"is not a type of observation; {hint}")
    return names.map(CODES).to_numpy("i1")


def _numbers(path: FilePath, name: str, given: pd.Series, optional: bool) -> np.ndarray:
    """A column of numbers; NaN where an optional value is missing."""
    numbers = pd.to_numeric(given, errors="coerce").astype(float)
    low, high, wanted = _RANGES[name]
    wrong = numbers.isna() & given.notna()
    if wrong.any():
        raise _refused(path, name, wrong, given.astype(object), f"is not a number; give {wanted}")
    if not optional and numbers.isna().any():
        raise _refused(path, name, numbers.isna(), numbers, f"is missing; give {wanted}, or leave the row out")
    outside = (numbers < low) | (numbers > high) | np.isinf(numbers)
    if name in _ABOVE_ZERO:
        outside |= numbers <= 0.0
    if outside.any():
        raise _refused(path, name, outside, numbers, f"is out of range; give {wanted}")
    return numbers.to_numpy()


def _hours(path: FilePath, given: pd.Series) -> np.ndarray:
    """Hours since 1970 of times."""
    if pd.api.types.is_numeric_dtype(given.dtype):
        times = pd.Series(pd.NaT, given.index)
    else:
        times = pd.to_datetime(given, utc=True, format="ISO8601", errors="coerce")
    if times.isna().any():
        said = "is not a time; write it as 2022-01-31T18:05:00"
        raise _refused(path, "time", times.isna(), given.astype(object), said)
    return ((times - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(hours=1)).to_numpy(float)


def _check_places(path: FilePath, frame: pd.DataFrame) -> None:
    """Above the surface a datum has a pressure or a height; at the surface it has neither."""
    surface = pd.Series(at_surface(frame.variable.to_numpy()), frame.index)
    types = pd.Series(names_of(frame.variable.to_numpy()), frame.index)
    for name in ("pressure", "height"):
        wrong = surface & frame[name].notna()
        if wrong.any():
            what = types[wrong].iloc[0]
            raise _refused(
                path, name, wrong, frame[name], f"must not be there, because {what} is at the surface; leave it empty"
            )
    both = frame.pressure.notna() & frame.height.notna()
    if both.any():
        raise _refused(path, "height", both, frame.height, "stands beside a pressure; leave one of them empty")
    neither = ~surface & frame.pressure.isna() & frame.height.isna()
    if neither.any():
        said = f"is missing for {types[neither].iloc[0]}, and so is a height; give one of them"
        raise _refused(path, "pressure", neither, frame.pressure, said)
    itself = (types == "z") & frame.height.notna()
    if itself.any():
        raise _refused(
            path,
            "height",
            itself,
            frame.height,
            "is the height of a geopotential, which is itself a height; give its pressure instead",
        )


def _stations(path: FilePath, given: pd.Series, frame: pd.DataFrame) -> np.ndarray:
    """Names of stations; data without one are named after their place."""
    whole = pd.api.types.is_float_dtype(given.dtype) and (given.dropna() % 1.0 == 0.0).all()
    if whole:  # numbers, some of which are missing
        given = given.astype("Int64")
    texts = given.astype(object).where(given.notna(), "").astype(str).str.strip()
    long = texts.str.len() > 8
    if long.any():
        raise _refused(path, "station", long, texts, "has more than eight characters; shorten it")
    without = texts == ""
    texts[without] = _places(frame[without])
    codes, unique = pd.factorize(texts)
    return as_names(list(unique))[codes] if len(unique) else np.zeros(0, "S8")


def _places(frame: pd.DataFrame) -> pd.Series:
    """A name for each datum made from its place, to a tenth of a degree."""
    tenths = (frame.latitude * 10.0).round().astype(int)
    numbers = tenths * 3600 + (frame.longitude * 10.0).round().astype(int) % 3600
    names = {place: hashlib.blake2b(str(place).encode(), digest_size=4).hexdigest() for place in numbers.unique()}
    return numbers.map(names)
