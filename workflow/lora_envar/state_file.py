"""States in netCDF-4: one variable per field, pressure levels as a coordinate, CF metadata, provenance.

Variables are named as in WeatherBench (geopotential, temperature, ...), so that its tools read the files.
"""

import json
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path

import netCDF4
import numpy as np

from . import __version__
from .files import whole
from .grid import Grid
from .state import CHANNELS, LEVELS, NAMES, SURFACE, UPPER_AIR, VARIABLES
from .timeline import from_hours, hours_since_1970

#: of files that are to be small: a third less, for some 15 times the processor's time to write (see
#: tests/benchmarks/storage.py). Deflation of level 1 after byte shuffling is read everywhere, other filters are not
_COMPRESSION = {"compression": "zlib", "complevel": 1, "shuffle": True}


def provenance(**attributes) -> dict:
    """Global attributes that say what made a file. No date, so that the same step gives the same bytes."""
    return {"Conventions": "CF-1.11", "source": f"lora-envar {__version__}", **attributes}


def write_states(
    path,
    states: np.ndarray,
    times: Sequence[datetime],
    grid: Grid,
    attributes: dict | None = None,
    per_channel: dict[str, np.ndarray] | None = None,
    compressed: bool = False,
):
    """Write states of shape (time, 69, lat, lon) valid at `times`, and values per channel, (69,), by name.

    Compression costs more time than moving fewer bytes saves: it is for archives, not for the files of a cycle.

    Raises
    ------
    ValueError
        If the shape does not fit, or a channel holds values that are not finite.
    """
    states = np.asarray(states, dtype=np.float32)
    expected = (len(times), len(CHANNELS), *grid.shape)
    if states.shape != expected:
        raise ValueError(f"{path}: expected states of shape {expected}, got {states.shape}")
    finite = np.isfinite(states).all(axis=(0, 2, 3))
    if not finite.all():
        bad = CHANNELS[int(np.flatnonzero(~finite)[0])].name
        raise ValueError(f"{path}: {bad} would be written with values that are not finite")
    with whole(path) as temporary, netCDF4.Dataset(temporary, "w") as dataset:
        dataset.setncatts(provenance(grid=json.dumps([grid.kind, grid.nlat, grid.nlon]), **(attributes or {})))
        _coordinate(dataset, "time", [hours_since_1970(time) for time in times], "i8", "hours since 1970-01-01", "time")
        dataset["time"].calendar = "proleptic_gregorian"
        _coordinate(dataset, "level", LEVELS, "i4", "hPa", "air_pressure")
        dataset["level"].positive = "down"
        _coordinate(dataset, "latitude", grid.latitude, "f8", "degrees_north", "latitude")
        _coordinate(dataset, "longitude", grid.longitude, "f8", "degrees_east", "longitude")
        position, compression = 0, _COMPRESSION if compressed else {}
        for short, (long, standard, units) in VARIABLES.items():
            upper = short in UPPER_AIR
            dimensions = ("time", "level", "latitude", "longitude") if upper else ("time", "latitude", "longitude")
            chunks = _chunks(dimensions, grid)
            variable = dataset.createVariable(long, "f4", dimensions, chunksizes=chunks, **compression)
            variable.setncatts({"standard_name": standard, "units": units, "short_name": short})
            count = len(LEVELS) if upper else 1
            block = states[:, position : position + count]
            variable[:] = block if upper else block[:, 0]
            position += count
        if per_channel:
            dataset.createDimension("channel", len(CHANNELS))
            dataset.createVariable("channel", str, ("channel",))[:] = np.array(NAMES, dtype=object)
        for name, values in (per_channel or {}).items():
            dataset.createVariable(name, "f4", ("channel",))[:] = values


def _chunks(dimensions, grid):
    """One horizontal field each: states are read whole."""
    return (1,) * (len(dimensions) - 2) + grid.shape


def _coordinate(dataset, name, values, kind, units, standard_name):
    dataset.createDimension(name, len(values))
    variable = dataset.createVariable(name, kind, (name,))
    variable.setncatts({"units": units, "standard_name": standard_name})
    variable[:] = np.asarray(values)


class StateFile:
    """Reads states from a file of `write_states`, with checks that name the file and the variable.

    Parameters
    ----------
    path : path
    keep_open : bool
        Whether the file stays open, for many reads.

    Raises
    ------
    ValueError
        If the file cannot be opened, lacks a variable or a time, or holds values that are not finite.
    """

    def __init__(self, path, keep_open: bool = False):
        self.path = Path(path)
        self._opened = None  # what is kept open for the next state
        try:
            with netCDF4.Dataset(self.path) as dataset:
                dataset.set_auto_mask(False)
                kind, nlat, nlon = json.loads(dataset.grid)
                self.grid = Grid(kind, nlat, nlon)
                self.times = [from_hours(hour) for hour in dataset["time"][:]]
            if keep_open:
                self._opened = netCDF4.Dataset(self.path)
        except FileNotFoundError:
            raise ValueError(f"{path}: no such file; run the rule that makes it") from None
        except (OSError, AttributeError, IndexError, RuntimeError) as error:
            raise ValueError(f"{path}: not a whole state file of this workflow ({error}); remake it") from error

    def read(self, time: datetime | None = None) -> np.ndarray:
        """The state at a time, or the only one of the file: float32 of shape (69, lat, lon), units of the state."""
        if time is None and len(self.times) != 1:
            raise ValueError(f"{self.path}: holds {len(self.times)} times, one was expected")
        if time is not None and time not in self.times:
            raise ValueError(
                f"{self.path}: has no state valid at {time:%Y-%m-%dT%H}; it has {self.times[0]:%Y-%m-%dT%H} to "
                f"{self.times[-1]:%Y-%m-%dT%H}"
            )
        index = 0 if time is None else self.times.index(time)
        parts = []
        with nullcontext(self._opened) if self._opened else netCDF4.Dataset(self.path) as dataset:
            dataset.set_auto_mask(False)
            for short, (long, *_) in VARIABLES.items():
                try:
                    field = dataset[long][index]
                except (IndexError, RuntimeError, OSError) as error:
                    raise ValueError(f"{self.path}: variable {long} cannot be read ({error}); remake it") from error
                if not np.isfinite(field).all():
                    raise ValueError(f"{self.path}: variable {long} holds values that are not finite; remake it")
                parts.append(field[None] if short in SURFACE else field)
        return np.concatenate(parts).astype(np.float32, copy=False)


def read_per_channel(path, name: str) -> np.ndarray:
    """Values per channel, shape (69,), of a file of `write_states`."""
    try:
        with netCDF4.Dataset(path) as dataset:
            dataset.set_auto_mask(False)
            return dataset[name][:]
    except (OSError, IndexError) as error:
        raise ValueError(f"{path}: variable {name} cannot be read ({error}); remake the file") from error


def read_state(path, grid: Grid | None = None) -> np.ndarray:
    """The one state of a file, checked to be on `grid`."""
    file = StateFile(path)
    if grid is not None and file.grid != grid:
        raise ValueError(f"{path}: is on {file.grid}, expected {grid}")
    return file.read()


class Archive:
    """States spread over the files of an archive, by valid time."""

    def __init__(self, paths):
        self._files = [StateFile(path, keep_open=True) for path in paths]
        self._by_time = {time: file for file in self._files for time in file.times}
        self.times = sorted(self._by_time)
        self.grid = self._files[0].grid

    def read(self, time: datetime) -> np.ndarray:
        """The state valid at a time, shape (69, lat, lon)."""
        if time not in self._by_time:
            raise ValueError(
                f"the archive has no state valid at {time:%Y-%m-%dT%H}; it covers {self.times[0]:%Y-%m-%dT%H} to "
                f"{self.times[-1]:%Y-%m-%dT%H} (archive.start, archive.end)"
            )
        return self._by_time[time].read(time)
