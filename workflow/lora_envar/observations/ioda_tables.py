"""Files of IODA, JEDI's Interface for Observation Data Access, as tables with one row per datum.

The groups read are MetaData (latitude, longitude, dateTime; pressure, height or geopotentialHeight; stationElevation,
stationIdentification), ObsValue, and, where there are any, ObsError, PreQC and ObsType. Variables have the names and
units that the types of observations declare (`ObservationType.ioda`), as `export.ioda` writes them.
"""

from collections.abc import Callable
from os import PathLike

import netCDF4
import numpy as np
import pandas as pd

from .catalogue import TYPES
from .heights import geopotential_height

#: groups without which a file is none of IODA
NEEDED = ("MetaData", "ObsValue")
#: beyond these a number, and a whole number, is a fill value, though no attribute may say so
_LARGEST = 1e30
_LARGEST_WHOLE = 2e9


def is_ioda(path: str | PathLike[str]) -> bool:
    """Whether a netCDF-4 file has the groups of IODA.

    Raises
    ------
    ValueError
        If the file is damaged.
    """
    try:
        with netCDF4.Dataset(path) as dataset:
            return all(name in dataset.groups for name in NEEDED)
    except (OSError, RuntimeError) as error:
        raise ValueError(f"{path} cannot be read as netCDF ({error}); it may be incomplete: get it again") from error


def read_ioda(path: str | PathLike[str], progress: Callable[[str], None] = print) -> pd.DataFrame:
    """Read the data of a file into the columns of `brought_columns`; variables without a type are named and ignored.

    Parameters
    ----------
    path : path
    progress : callable
        Receives a line about variables that are ignored.

    Raises
    ------
    ValueError
        If the file is damaged, or has no places, times or values; the message names it.
    """
    by_name = {kind.ioda.name: name for name, kind in TYPES.items() if kind.ioda is not None}
    try:
        with netCDF4.Dataset(path) as dataset:
            places = _places(path, dataset["MetaData"])
            values = dataset["ObsValue"]
            parts = [_data(dataset, name, places, by_name[name]) for name in values.variables if name in by_name]
            others = [name for name in values.variables if name not in by_name]
    except (OSError, RuntimeError, KeyError, IndexError) as error:
        raise ValueError(f"{path} cannot be read as an IODA file ({error}); get it again") from error
    if others:
        progress(f"{path}: the variables {', '.join(others)} are ignored")
    if not parts:
        raise ValueError(f"{path} has none of the variables {', '.join(by_name)}; it has {', '.join(others)}")
    return pd.concat(parts, ignore_index=True)


def _places(path: str | PathLike[str], group: netCDF4.Group) -> pd.DataFrame:
    """Places and times of the locations, one row each, in the columns of `brought_columns`."""
    missing = [name for name in ("latitude", "longitude", "dateTime") if name not in group.variables]
    if missing:
        raise ValueError(f"{path}: the group MetaData has no {', '.join(missing)}; give files of IODA's version 3")
    latitude = _numbers(group, "latitude")
    pressure = _numbers(group, "pressure") / 100.0
    height = _numbers(group, "geopotentialHeight")
    height = np.where(np.isnan(height), geopotential_height(_numbers(group, "height"), latitude), height)
    frame = pd.DataFrame(
        {
            "latitude": latitude,
            "longitude": _numbers(group, "longitude"),
            "time": _times(group["dateTime"]),
            "pressure": pressure,
            # a datum has one vertical coordinate, and here a pressure is measured
            "height": np.where(np.isnan(pressure), height, np.nan),
            "elevation": _numbers(group, "stationElevation"),
        }
    )
    if "stationIdentification" in group.variables:
        names = np.asarray(group["stationIdentification"][:]).astype(str)
        frame["station"] = pd.Series(names).str.strip().where(lambda name: ~name.str.startswith("***"))
    return frame


def _data(dataset: netCDF4.Dataset, name: str, places: pd.DataFrame, short: str) -> pd.DataFrame:
    """The data of one variable, without missing ones."""
    kind = TYPES[short]
    assert kind.ioda is not None
    frame = places.assign(variable=short, value=_numbers(dataset["ObsValue"], name) / kind.ioda.factor)
    for group, column, factor in (
        ("ObsError", "error", kind.ioda.factor),
        ("PreQC", "quality", 1.0),
        ("ObsType", "type", 1.0),
    ):
        if group in dataset.groups and name in dataset[group].variables:
            frame[column] = _numbers(dataset[group], name) / factor
    if kind.surface:
        frame[["pressure", "height"]] = np.nan
    return frame[frame.value.notna()]


def _numbers(group: netCDF4.Group, name: str) -> np.ndarray:
    """A variable of a group; NaN where the variable, or one of its values, is missing."""
    if name not in group.variables:
        return np.full(len(group["latitude"]), np.nan)
    values = np.ma.filled(np.ma.asarray(group[name][:]).astype(float), np.nan)
    whole = group[name].dtype.kind == "i"
    return np.where(np.abs(values) > (_LARGEST_WHOLE if whole else _LARGEST), np.nan, values)


def _times(variable: netCDF4.Variable) -> pd.Series:
    """Times in ISO 8601."""
    found = netCDF4.num2date(
        variable[:], variable.units, only_use_cftime_datetimes=False, only_use_python_datetimes=True
    )
    return pd.Series([f"{time:%Y-%m-%dT%H:%M:%S}" for time in np.ravel(np.asarray(found))])
