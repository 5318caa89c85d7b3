"""Analyses, forecasts and the truth as the xarray loaders of WeatherBench-X read them.

Source: weatherbenchX/data_loaders/xarray_loaders.py in https://github.com/google-research/weatherbenchX.
`PredictionsFromXarray` selects by `init_time` and `lead_time`, which the file has (``rename_dimensions=None``; what the
loader renames by default are ECMWF's names, `time` and `prediction_timedelta`); `TargetsFromXarray` renames `time` to
`valid_time` by itself. Both open a path with `xarray.open_dataset` unless it ends with .zarr: netCDF is what the
workflow can write completely or not at all, one file in place of thousands.

Variables have the names of WeatherBench 2 already. A state is read and written at a time; places of the cube of
init_time by lead_time at which there is no forecast are not written, take no space, and are read as missing.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from ..fields.grid import Grid
from ..fields.timeline import hours_since_1970
from ..fields.timeline import name as time_name
from ..files.atomic import atomic_write
from ..files.netcdf import (
    AS_DIFFERENCE,
    LEAD,
    START,
    VALID_TIME,
    auxiliary_coordinate,
    begin_states,
    coordinate,
    declare_fields,
    put_fields,
)
from ..files.provenance import experiment_attributes
from ..files.state_file import StateFile
from .results import Cycles

_CUBE = ("init_time", "lead_time")
#: the climatology is in a file of states too, and has this
_OF_CLIMATOLOGY = "anomaly_standard_deviation"


def state_files(path: str | Path) -> list[Path]:
    """Files of the truth that a path means: a file, or those of a folder as results/archive; none if it is no such."""
    path = Path(path)
    if path.is_file():
        return [path]
    folder = path / "states" if (path / "states").is_dir() else path
    return sorted(folder.glob("*.nc"))


def export_targets(paths: Sequence[str | Path], out: str | Path) -> str:
    """Write states of the archive into one file, dimensions (time, level, latitude, longitude).

    Parameters
    ----------
    paths : sequence of paths
        Files of states, or folders of them.
    out : path
        netCDF file to write.

    Returns
    -------
    str
        What was written, in words.

    Raises
    ------
    ValueError
        If a file has no states, or if several files differ in grid or have a time in common.
    """
    by_time: dict[datetime, StateFile] = {}
    for path in (file for given in paths for file in state_files(given)):
        file = StateFile(path)
        with netCDF4.Dataset(path) as dataset:
            if _OF_CLIMATOLOGY in dataset.variables:
                raise ValueError(f"{path} is the climatology, not states; the states are in results/archive/states")
        for time in file.times:
            if time in by_time:
                raise ValueError(f"{path} has {time_name(time)}, as {by_time[time].path} does; leave one of them out")
            by_time[time] = file
    grid = _common_grid(by_time.values())
    times = sorted(by_time)
    with atomic_write(out) as temporary, netCDF4.Dataset(temporary, "w") as dataset:
        begin_states(dataset, grid, "Truth to score forecasts against")
        coordinate(dataset, "time", [hours_since_1970(time) for time in times], **VALID_TIME)
        variables = declare_fields(dataset, ("time",))
        for index, time in enumerate(times):
            put_fields(variables, index, by_time[time].read(time))
    return f"states: {len(times)}, {time_name(times[0])} to {time_name(times[-1])}"


def export_predictions(cycles: Cycles, out: str | Path) -> str:
    """Write analyses, at lead 0, and forecasts of an experiment into one file.

    Dimensions are (init_time, lead_time, level, latitude, longitude). What an unfinished run lacks is left out: each
    cycle stands by itself, and scores of those that there are need not wait for the others. The attributes
    `missing_analyses` and `missing_forecasts` name the times.

    Parameters
    ----------
    cycles : Cycles
    out : path
        netCDF file to write.

    Returns
    -------
    str
        What was written, in words.

    Raises
    ------
    ValueError
        If there is no analysis, a file is damaged or not of its folder's time, or grids differ.
    """
    found = cycles.files("analysis.nc")
    if not found:
        raise ValueError(
            f"{cycles.experiment}: none of its {len(cycles.folders)} cycles has an analysis.nc yet; run the workflow "
            "first"
        )
    analyses = {start: _opened(path, start) for start, path in found.items()}
    forecasts = {start: _opened(path, start) for start, path in cycles.files("forecast.nc").items()}
    grid = _common_grid([*analyses.values(), *forecasts.values()])
    starts = sorted({*analyses, *forecasts})
    leads = sorted({0, *(lead for file in forecasts.values() for lead in file.leads)})
    title = f"Analyses and forecasts of {cycles.experiment}; analyses are those of lead 0"
    attributes: dict[str, Any] = experiment_attributes(cycles.experiment)
    for name, file in (("missing_analyses", "analysis.nc"), ("missing_forecasts", "forecast.nc")):
        if lacking := cycles.missing(file):
            attributes[name] = " ".join(map(time_name, lacking))
    with atomic_write(out) as temporary, netCDF4.Dataset(temporary, "w") as dataset:
        begin_states(dataset, grid, title, attributes)
        _write_times(dataset, starts, leads)
        variables = declare_fields(dataset, _CUBE, ["valid_time"], fill_value=np.float32(np.nan))
        for row, start in enumerate(starts):
            if start in analyses:
                put_fields(variables, (row, 0), analyses[start].read())
            for lead in forecasts[start].leads if start in forecasts else ():
                state = forecasts[start].read(start + timedelta(hours=lead))
                put_fields(variables, (row, leads.index(lead)), state)
    hours = ", ".join(f"{lead} h" for lead in leads)
    return f"analyses: {len(analyses)}, forecasts: {len(forecasts)}, at leads of {hours}"


def _write_times(dataset: netCDF4.Dataset, starts: list[datetime], leads: list[int]) -> None:
    """Coordinates of the cube."""
    hours = np.array([hours_since_1970(start) for start in starts])
    coordinate(dataset, _CUBE[0], hours, **START)
    coordinate(dataset, _CUBE[1], leads, **LEAD, **AS_DIFFERENCE)
    auxiliary_coordinate(dataset, "valid_time", _CUBE, hours[:, None] + np.array(leads), **VALID_TIME)


def _opened(path: Path, start: datetime) -> StateFile:
    """A file of a cycle, checked to be of its time."""
    file = StateFile(path)
    for time, lead in zip(file.times, file.leads, strict=True):
        begins = time - timedelta(hours=lead)
        if begins != start:
            raise ValueError(f"{path} is of {time_name(begins)}, but its folder of {time_name(start)}; make it again")
    return file


def _common_grid(files: Iterable[StateFile]) -> Grid:
    """The grid of all files."""
    first: StateFile | None = None
    for file in files:
        first = first or file
        if file.grid != first.grid:
            raise ValueError(
                f"{file.path} is on {file.grid}, but {first.path} on {first.grid}; export one grid at a time"
            )
    if first is None:
        raise ValueError("there are no state files; give results/archive, or state files")
    return first.grid
