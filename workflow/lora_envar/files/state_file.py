"""States in netCDF-4: one variable per field, pressure levels as a coordinate, CF metadata, provenance.

Variables are named as in WeatherBench (geopotential, temperature, ...), so that its tools read the files. `time` is the
valid time, but of forecasts by lead, as there: they have the start for `time`, and the lead as `prediction_timedelta`.
"""

import json
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from ..fields.grid import Grid
from ..fields.state import CHANNELS, SURFACE, VARIABLES
from ..fields.timeline import from_hours, hours_since_1970
from .atomic import atomic_write
from .netcdf import (
    AS_DIFFERENCE,
    CHANNEL_NAMES,
    LEAD,
    START,
    VALID_TIME,
    auxiliary_coordinate,
    begin_states,
    coordinate,
    declare_fields,
    put_fields,
    write_channel_names,
)

#: of files that are to be small: a third less, for some 15 times the processor's time to write (see
#: tests/benchmarks/storage.py). Deflation of level 1 after byte shuffling is read everywhere, other filters are not
_COMPRESSION: dict[str, Any] = {"compression": "zlib", "complevel": 1, "shuffle": True}


#: name of the lead of forecasts in WeatherBench
LEAD_AXIS = "prediction_timedelta"


def write_states(
    path: str | Path,
    states: np.ndarray | Iterable[np.ndarray],
    times: Sequence[datetime],
    grid: Grid,
    attributes: dict[str, Any] | None = None,
    per_channel: dict[str, np.ndarray] | None = None,
    compressed: bool = False,
    start: datetime | None = None,
) -> None:
    """Write states valid at `times`, and values per channel, (69,), by name.

    Compression costs more time than moving fewer bytes saves: it is for archives, not for the files of a cycle.

    Parameters
    ----------
    states : (time, 69, lat, lon)
        Or parts of these, one after the other, so that only one is in memory.
    attributes : dict, optional
        Global attributes in addition to those of `provenance`; a `title` replaces the general one.
    start : datetime, optional
        Start of the forecast of all states; it adds `forecast_reference_time` and `forecast_period` (hours).

    Raises
    ------
    ValueError
        If the shape does not fit, or a channel has values that are not finite.
    """
    parts = [states] if isinstance(states, np.ndarray) else states
    title = "States of the atmosphere"
    if start is not None:
        what = "Trajectory of one forecast, a state at each valid time," if len(times) > 1 else "Forecast"
        title = f"{what} that starts at {start:%Y-%m-%dT%H} UTC"
    with atomic_write(path) as temporary, netCDF4.Dataset(temporary, "w") as dataset:
        begin_states(dataset, grid, title, attributes)
        coordinate(dataset, "time", [hours_since_1970(time) for time in times], **VALID_TIME)
        auxiliary: list[str] = []
        if start is not None:
            auxiliary = ["forecast_reference_time", "forecast_period"]
            auxiliary_coordinate(dataset, auxiliary[0], (), hours_since_1970(start), **START)
            leads = [(time - start) // timedelta(hours=1) for time in times]
            auxiliary_coordinate(dataset, auxiliary[1], ("time",), leads, **LEAD)
        variables = declare_fields(dataset, ("time",), auxiliary, **(_COMPRESSION if compressed else {}))
        written = 0
        for part in parts:
            last = written + len(part)
            put_fields(variables, slice(written, last), checked_states(path, part, (len(times[written:last]),), grid))
            written = last
        if written != len(times):
            raise ValueError(f"{path}: there are {written} states, but {len(times)} times")
        if per_channel:
            dataset.createDimension("channel", len(CHANNELS))
            write_channel_names(dataset)
        for name, values in (per_channel or {}).items():
            variable = dataset.createVariable(name, "f4", ("channel",))
            variable.long_name = f"{name.replace('_', ' ')} of each channel, in the units of its variable"
            variable.coordinates = CHANNEL_NAMES
            variable[:] = values


def write_standard_error(
    path: str | Path,
    deviation: np.ndarray,
    time: datetime,
    grid: Grid,
    attributes: dict[str, Any] | None = None,
) -> None:
    """Write the standard deviation of the error of a state, (69, lat, lon): `read_state` reads it like a state.

    Its variables have the names and units of the state's; the standard names say what they are (CF, appendix C).

    Parameters
    ----------
    time : datetime
        Valid time of the state.
    attributes : dict, optional
        See `write_states`.

    Raises
    ------
    ValueError
        If the shape does not fit, or a channel has values that are not finite.
    """
    deviation = checked_states(path, deviation[None], (1,), grid)
    with atomic_write(path) as temporary, netCDF4.Dataset(temporary, "w") as dataset:
        title = f"Standard deviation of the error of the state valid at {time:%Y-%m-%dT%H} UTC"
        begin_states(dataset, grid, title, attributes)
        coordinate(dataset, "time", [hours_since_1970(time)], **VALID_TIME)
        put_fields(declare_fields(dataset, ("time",), modifier="standard_error"), ..., deviation)


def write_forecast(
    path: str | Path,
    states: Iterable[np.ndarray],
    start: datetime,
    leads: Sequence[int],
    grid: Grid,
    attributes: dict[str, Any] | None = None,
) -> None:
    """Write one forecast as WeatherBench does: `time` is its start, `prediction_timedelta` the lead.

    `StateFile` reads it by valid time, like any other file of states.

    Parameters
    ----------
    states : iterable of (69, lat, lon)
        One per lead, in the units of the state; one at a time is held.
    leads : sequence of int
        Hours after `start`.
    attributes : dict, optional
        See `write_states`.

    Raises
    ------
    ValueError
        If the shape does not fit, or a channel has values that are not finite.
    """
    dimensions = ("time", LEAD_AXIS)
    with atomic_write(path) as temporary, netCDF4.Dataset(temporary, "w") as dataset:
        title = f"Forecast that starts at {start:%Y-%m-%dT%H} UTC"
        begin_states(dataset, grid, title, attributes)
        # CF expects of a variable of this name that it says so of itself; what it is is said by another
        coordinate(dataset, "time", [hours_since_1970(start)], **{**START, "standard_name": "time"})
        auxiliary_coordinate(dataset, "forecast_reference_time", ("time",), [hours_since_1970(start)], **START)
        coordinate(dataset, LEAD_AXIS, leads, **LEAD, **AS_DIFFERENCE)
        valid = [[hours_since_1970(start) + lead for lead in leads]]
        auxiliary_coordinate(dataset, "valid_time", dimensions, valid, **VALID_TIME)
        variables = declare_fields(dataset, dimensions, ["forecast_reference_time", "valid_time"])
        written = 0
        for state in states:
            put_fields(variables, (0, slice(written, written + 1)), checked_states(path, state[None], (1,), grid))
            written += 1
        if written != len(leads):
            raise ValueError(f"{path}: there are {written} states, but {len(leads)} leads")


def checked_states(path: str | Path, states: np.ndarray, leading: tuple[int, ...], grid: Grid) -> np.ndarray:
    """States as float32, if their shape fits and all their values are finite."""
    states = np.asarray(states, dtype=np.float32)
    expected = (*leading, len(CHANNELS), *grid.shape)
    if states.shape != expected:
        raise ValueError(f"{path}: expected states of the shape {expected}, got {states.shape}")
    finite = np.isfinite(states).all(axis=(0, 2, 3))
    if not finite.all():
        bad = CHANNELS[int(np.flatnonzero(~finite)[0])].name
        raise ValueError(f"{path}: {bad} has values that are not finite, so it is not written")
    return states


def read_fields(dataset: netCDF4.Dataset, path: str | Path, index: Any) -> np.ndarray:
    """States at an index of the dimensions before the level, float32 of shape (..., 69, lat, lon), checked."""
    states = None
    last = 0
    for short, (long, *_) in VARIABLES.items():
        try:
            field = dataset[long][index]
        except (IndexError, RuntimeError, OSError) as error:
            raise ValueError(f"{path}: the variable {long} cannot be read ({error}); make the file again") from error
        if not np.isfinite(field).all():
            raise ValueError(f"{path}: the variable {long} has values that are not finite; make the file again")
        field = field[..., None, :, :] if short in SURFACE else field
        if states is None:
            states = np.empty((*field.shape[:-3], len(CHANNELS), *field.shape[-2:]), dtype=np.float32)
        last += field.shape[-3]
        states[..., last - field.shape[-3] : last, :, :] = field
    assert states is not None
    return states


class StateFile:
    """Reads states from a file of `write_states` or `write_forecast`, with checks that name the file and the variable.

    Attributes
    ----------
    grid : Grid
    times : list of datetime
        Valid times of the states, in the order of the file.
    leads : list of int
        Hours between the start of a forecast of `write_forecast` and each of these; 0 in other files.

    Parameters
    ----------
    path : path
    keep_open : bool
        Whether the file stays open, which many reads need.

    Raises
    ------
    ValueError
        If the file cannot be opened, if a variable or a time is missing, or if values are not finite.
    """

    def __init__(self, path: str | Path, keep_open: bool = False) -> None:
        self.path = Path(path)
        self._opened: netCDF4.Dataset | None = None  # what is kept open for the next state
        try:
            self._opened = netCDF4.Dataset(self.path)
            with nullcontext(self._opened) if keep_open else self._opened as dataset:
                dataset.set_auto_mask(False)
                kind, nlat, nlon = json.loads(dataset.grid)
                self.grid = Grid(kind, nlat, nlon)
                hours = dataset["time"][:]
                # of a forecast this is the start, and leads follow
                self._shape = hours.shape
                leads = np.zeros(hours.shape, dtype=int)
                if LEAD_AXIS in dataset.variables:
                    leads = np.zeros_like(hours)[:, None] + dataset[LEAD_AXIS][:]
                    hours = (hours[:, None] + leads).ravel()
                    self._shape = leads.shape
                self.leads = [int(lead) for lead in leads.ravel()]
                self.times = [from_hours(hour) for hour in hours]
            if not keep_open:
                self._opened = None
        except FileNotFoundError:
            raise ValueError(f"{path} does not exist; run the rule that makes it") from None
        except (OSError, AttributeError, IndexError, RuntimeError) as error:
            raise ValueError(
                f"{path} is damaged, or is not a state file of this workflow ({error}); make it again"
            ) from error

    def read(self, time: datetime | None = None) -> np.ndarray:
        """The state at a time, or the only one of the file: float32 of shape (69, lat, lon), units of the state.

        Raises
        ------
        ValueError
            If there is no state at that time, if there is more than one, or if it is damaged.
        """
        if time is None and len(self.times) != 1:
            raise ValueError(f"{self.path} has {len(self.times)} times, but must have one")
        if time is not None and time not in self.times:
            raise ValueError(
                f"{self.path} has no state valid at {time:%Y-%m-%dT%H}; it has {self.times[0]:%Y-%m-%dT%H} to "
                f"{self.times[-1]:%Y-%m-%dT%H}"
            )
        index = 0 if time is None else self.times.index(time)
        with nullcontext(self._opened) if self._opened else netCDF4.Dataset(self.path) as dataset:
            dataset.set_auto_mask(False)
            return read_fields(dataset, self.path, np.unravel_index(index, self._shape))


def read_per_channel(path: str | Path, name: str) -> np.ndarray:
    """Values per channel, shape (69,), of a file of `write_states`.

    Raises
    ------
    ValueError
        If they cannot be read.
    """
    try:
        with netCDF4.Dataset(path) as dataset:
            dataset.set_auto_mask(False)
            return dataset[name][:]
    except (OSError, IndexError) as error:
        raise ValueError(f"{path}: the variable {name} cannot be read ({error}); make the file again") from error


def read_state(path: str | Path, grid: Grid | None = None) -> np.ndarray:
    """Read the only state of a file, float32 of shape (69, lat, lon); it must be on `grid`.

    Raises
    ------
    ValueError
        If it is on another grid, or if `StateFile` raises one.
    """
    file = StateFile(path, keep_open=True)
    if grid is not None and file.grid != grid:
        raise ValueError(f"{path} is on {file.grid}, but must be on {grid}")
    return file.read()


class Archive:
    """States spread over the files of an archive, by valid time.

    Attributes
    ----------
    times : list of datetime
        Of all states, in order.
    grid : Grid

    Parameters
    ----------
    paths : paths
        Files of `write_states`; they stay open.

    Raises
    ------
    ValueError
        See `StateFile`.
    """

    def __init__(self, paths: Iterable[str | Path]) -> None:
        self._files = [StateFile(path, keep_open=True) for path in paths]
        self._by_time = {time: file for file in self._files for time in file.times}
        self.times = sorted(self._by_time)
        self.grid = self._files[0].grid

    def get(self, time: datetime) -> np.ndarray | None:
        """The state valid at a time, shape (69, lat, lon), or None if there is none."""
        return self._by_time[time].read(time) if time in self._by_time else None

    def read(self, time: datetime) -> np.ndarray:
        """The state valid at a time, shape (69, lat, lon).

        Raises
        ------
        ValueError
            If there is none.
        """
        if time not in self._by_time:
            raise ValueError(
                f"the archive has no state valid at {time:%Y-%m-%dT%H}; it covers {self.times[0]:%Y-%m-%dT%H} to "
                f"{self.times[-1]:%Y-%m-%dT%H} (archive.start, archive.end)"
            )
        return self._by_time[time].read(time)
