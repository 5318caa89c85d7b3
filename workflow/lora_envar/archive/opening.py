"""GRIB and netCDF files as xarray datasets, whatever they are named; what a GRIB file holds twice is refused."""

import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import xarray as xr

from .folder import kind_of

#: ecCodes' short names of the fields that are read: near the surface, and on pressure levels
_NEAR_SURFACE = ("10u", "10v", "2t", "msl", "prmsl")
_UPPER_AIR = ("z", "gh", "q", "u", "v", "t", "r")
#: what tells two fields of a GRIB file apart, beside their times
_KEYS = ("paramId", "typeOfLevel", "level", "number", "dataType", "stepType", "numberOfPoints")
_TIMES = ("dataDate", "dataTime", "step", "validityDate", "validityTime")
#: attribute of a GRIB variable that says which of ECMWF's experiments it comes from: 1 final, 5 preliminary (ERA5T)
EXPERIMENT = "GRIB_experimentVersionNumber"
_UNKNOWN = "undef"  # cfgrib's word for a key that a message does not have


class SourceError(RuntimeError):
    """A source cannot be reached or does not have what was asked for."""


def open_datasets(path) -> list[xr.Dataset]:
    """All datasets of a GRIB file (one per kind of level and experiment) or the one of a netCDF file.

    Raises
    ------
    SourceError
        If the file is not there, of another kind (it is said of which), truncated, or if a GRIB file has a field twice
        with different values, or several forecasts of it valid at the same time.
    """
    path = Path(path)
    try:
        kind, advice = kind_of(path)
    except OSError as error:
        raise SourceError(f"{path}: cannot be opened ({error.strerror or error})") from error
    if advice:
        raise SourceError(f"{path}: is {kind}; {advice}")
    try:
        # lead times are made of numbers and units in `valid_times`, where all forms of them are known
        return _open_grib(path) if kind == "GRIB" else [xr.open_dataset(path, engine="netcdf4", decode_timedelta=False)]
    except SourceError:
        raise
    except Exception as error:  # ecCodes and netCDF raise errors of many kinds
        raise SourceError(f"{path}: cannot be read as {kind} ({error}); is it whole?") from error


def _open_grib(path: Path) -> list[xr.Dataset]:
    import cfgrib

    inventory = _inventory(path)
    _refuse_twice(path, inventory)
    arguments = {"indexpath": "", "errors": "raise"}
    if not _every_base_has_every_step(inventory):
        # as a table of base times and steps there would be valid times at which nothing is
        arguments["time_dims"] = ("valid_time",)
    experiments = sorted({experiment for *_, experiment in inventory})
    datasets = []
    for experiment in experiments or [None]:
        chosen = {"filter_by_keys": {"experimentVersionNumber": experiment}} if len(experiments) > 1 else {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of xarray, about how cfgrib calls it
            opened = cfgrib.open_datasets(str(path), backend_kwargs={**arguments, **chosen})
        for dataset in opened:
            for variable in dataset.data_vars.values():
                variable.attrs[EXPERIMENT] = None if experiment == _UNKNOWN else experiment
        datasets += opened
    return datasets


def _inventory(path: Path) -> list[tuple]:
    """Offset, keys, times and experiment of every field of the state in a GRIB file, without its values."""
    import cfgrib

    found = []
    for offset, message in cfgrib.messages.FileStream(str(path), errors="raise").items():
        name, level = message.get("shortName"), str(message.get("typeOfLevel"))
        # other levels are of no interest, and not all are told apart by their number (potential vorticity of +-2)
        if name in _NEAR_SURFACE or (name in _UPPER_AIR and level.startswith("isobaric")):
            keys = tuple(message.get(key) for key in _KEYS)
            times = tuple(message.get(key) for key in _TIMES)
            found.append((offset, keys, times, message.get("experimentVersionNumber", _UNKNOWN)))
    return found


def _every_base_has_every_step(inventory: Iterable[tuple]) -> bool:
    """Whether the fields of a kind, of any level, are of each base time at each step."""
    runs: dict[tuple, set] = {}
    for _, (parameter, kind, _, *others), (date, time, step, *_), experiment in inventory:
        runs.setdefault((parameter, kind, *others, experiment), set()).add(((date, time), step))
    return all(len(run) == len({base for base, _ in run}) * len({step for _, step in run}) for run in runs.values())


def _refuse_twice(path: Path, inventory: Iterable[tuple]):
    """Refuse fields of the same name, level, valid time and experiment, unless their values are the same."""
    import cfgrib

    stream = cfgrib.messages.FileStream(str(path), errors="raise")
    first: dict[tuple, tuple] = {}
    for offset, keys, times, experiment in inventory:
        *base, date, hour = times
        known = first.setdefault((keys, date, hour, experiment), (offset, base))
        if known[0] == offset:
            continue
        message, other = stream[offset], stream[known[0]]
        name = f"{message['shortName']} at {message['typeOfLevel']} {message['level']}, valid at {date} {hour:04d}"
        if known[1] != base:
            raise SourceError(
                f"{path}: has two forecasts of {name}, from {known[1][0]} {known[1][1]:04d} and {base[0]} "
                f"{base[1]:04d}; keep one forecast of each valid time"
            )
        if not np.array_equal(message["values"], other["values"]):
            raise SourceError(f"{path}: has {name} twice, with different values; keep one of them")
