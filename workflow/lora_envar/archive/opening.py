"""GRIB and netCDF files as xarray datasets, whatever their names; a field that a GRIB file has twice is refused."""

import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import xarray as xr

from ..files.kinds import GRIB
from .folder import field_kind_of

if TYPE_CHECKING:
    import cfgrib

#: where a field begins in a GRIB file, for cfgrib: a byte, and which of its message's fields it is, if it has several
Offset: TypeAlias = int | tuple[int, int]
#: offset, keys, times and experiment of a field
Entry: TypeAlias = tuple[Offset, tuple[Any, ...], tuple[Any, ...], str]

#: ecCodes' short names of the fields that are read: near the surface, and on pressure levels
_NEAR_SURFACE = ("10u", "10v", "2t", "msl", "prmsl", "orog")
_UPPER_AIR = ("z", "gh", "q", "u", "v", "t", "r")
#: the same by CF's names, for parameters that centres number and name in their own ways
_NEAR_SURFACE_STANDARD_NAMES = ("air_pressure_at_mean_sea_level", "air_pressure_at_sea_level", "surface_altitude")
_UPPER_AIR_STANDARD_NAMES = (
    "geopotential",
    "geopotential_height",
    "specific_humidity",
    "eastward_wind",
    "northward_wind",
    "air_temperature",
    "relative_humidity",
)
#: what tells two fields of a GRIB file apart, beside their times
_KEYS = ("paramId", "typeOfLevel", "level", "number", "dataType", "stepType", "numberOfPoints")
_TIMES = ("dataDate", "dataTime", "step", "validityDate", "validityTime")
#: attribute of a GRIB variable that says which of ECMWF's experiments it comes from: 1 final, 5 preliminary (ERA5T)
EXPERIMENT = "GRIB_experimentVersionNumber"
_UNKNOWN = "undef"  # cfgrib's word for a key that a message does not have


class SourceError(RuntimeError):
    """A source cannot be reached, or does not have what was requested."""


def open_datasets(path: str | os.PathLike[str]) -> list[xr.Dataset]:
    """Open the fields of a GRIB file as datasets, at least one per parameter, or a netCDF file as one dataset.

    Raises
    ------
    SourceError
        If the file is missing, truncated or of another kind, which the message names; if a GRIB file has a field twice
        with different values, or several forecasts of it valid at the same time.
    """
    path = Path(path)
    try:
        kind, advice = field_kind_of(path)
    except OSError as error:
        raise SourceError(f"{path} cannot be opened ({error.strerror or error})") from error
    if advice:
        raise SourceError(f"{path} is {kind}; {advice}")
    try:
        if kind == GRIB:
            return _open_grib(path)
        # lead times are made of numbers and units in `valid_times`, where all forms of them are known
        return [xr.open_dataset(path, engine="netcdf4", decode_timedelta=False, cache=False)]
    except SourceError:
        raise
    except Exception as error:  # ecCodes and netCDF raise errors of many kinds
        raise SourceError(f"{path} cannot be read as {kind} ({error}); it may be incomplete: get it again") from error


class _Selection(Mapping[Offset, "cfgrib.messages.Message"]):
    """Some fields of a GRIB file, by their offsets, for cfgrib: these are read on request, and no others."""

    def __init__(self, path: Path, offsets: list[Offset]) -> None:
        import cfgrib

        self._stream = cfgrib.messages.FileStream(str(path), errors="raise")
        self._offsets = offsets

    def __getitem__(self, offset: Offset) -> "cfgrib.messages.Message":
        return self._stream[offset]

    def __iter__(self) -> Iterator[Offset]:
        return iter(self._offsets)

    def __len__(self) -> int:
        return len(self._offsets)


def _open_grib(path: Path) -> list[xr.Dataset]:
    """Open one dataset per parameter, kind of level and experiment, or more where cfgrib cannot make a single one."""
    from cfgrib.xarray_store import raw_open_datasets

    inventory = _inventory(path)
    _refuse_twice(path, inventory)
    groups: dict[tuple[int, str, str], list[Entry]] = {}
    for entry in inventory:
        _, (parameter, kind_of_level, *_), _, experiment = entry
        groups.setdefault((parameter, kind_of_level, experiment), []).append(entry)
    datasets = []
    for (*_, experiment), entries in groups.items():
        arguments: dict[str, Any] = {"errors": "raise", "squeeze": True}
        if not _every_base_has_every_step(entries):
            # as a table of base times and steps there would be valid times at which nothing is
            arguments["time_dims"] = ("valid_time",)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of xarray, about how cfgrib calls it
            opened = raw_open_datasets(_Selection(path, [entry[0] for entry in entries]), arguments)
        for dataset in opened:
            for variable in dataset.data_vars.values():
                variable.attrs[EXPERIMENT] = None if experiment == _UNKNOWN else experiment
        datasets += opened
    return datasets


def _inventory(path: Path) -> list[Entry]:
    """Offset, keys, times and experiment of every field that is read from a GRIB file, without its values."""
    import cfgrib

    found: list[Entry] = []
    for offset, message in cfgrib.messages.FileStream(str(path), errors="raise").items():
        if _is_read(message.get("shortName"), message.get("cfName"), str(message.get("typeOfLevel"))):
            keys = tuple(message.get(key) for key in _KEYS)
            times = tuple(message.get(key) for key in _TIMES)
            found.append((offset, keys, times, message.get("experimentVersionNumber", _UNKNOWN)))
    return found


def _is_read(name: str, standard_name: str, kind_of_level: str) -> bool:
    """Whether a field belongs to the state, by its names and kind of level, or is the height of the surface.

    Levels of other kinds cannot always be told apart by their number (such as potential vorticity of +2 and -2).
    """
    if name in _NEAR_SURFACE or standard_name in _NEAR_SURFACE_STANDARD_NAMES:
        return True
    if kind_of_level == "surface":
        return name in ("z", "gh")
    upper_air = name in _UPPER_AIR or standard_name in _UPPER_AIR_STANDARD_NAMES
    return upper_air and kind_of_level.startswith(("isobaric", "hybrid"))


def _every_base_has_every_step(inventory: Iterable[Entry]) -> bool:
    """Whether the fields of a kind, whatever their level, cover every step from every base time."""
    runs: dict[tuple[Any, ...], set[tuple[Any, Any]]] = {}
    for _, (parameter, kind, _, *others), (date, time, step, *_), experiment in inventory:
        runs.setdefault((parameter, kind, *others, experiment), set()).add(((date, time), step))
    return all(len(run) == len({base for base, _ in run}) * len({step for _, step in run}) for run in runs.values())


def _refuse_twice(path: Path, inventory: Iterable[Entry]) -> None:
    """Refuse fields of the same name, level, valid time and experiment, unless their values are the same."""
    import cfgrib

    stream = cfgrib.messages.FileStream(str(path), errors="raise")
    first: dict[tuple[Any, ...], tuple[Offset, list[Any]]] = {}
    for offset, keys, times, experiment in inventory:
        *base, date, hour = times
        known = first.setdefault((keys, date, hour, experiment), (offset, base))
        if known[0] == offset:
            continue
        message = stream[offset]
        other = stream[known[0]]
        name = f"{message['shortName']} at {message['typeOfLevel']} {message['level']}, valid at {date} {hour:04d}"
        if known[1] != base:
            raise SourceError(
                f"{path} has two forecasts of {name}, from {known[1][0]} {known[1][1]:04d} and {base[0]} "
                f"{base[1]:04d}; keep one forecast for each valid time"
            )
        if not np.array_equal(message["values"], other["values"]):
            raise SourceError(f"{path} has {name} twice, with different values; keep only one of them")
