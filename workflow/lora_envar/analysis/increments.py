"""Increments of single observations in one netCDF file, by experiment, observation and time."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from ..fields.grid import Grid
from ..fields.state import CHANNELS
from ..fields.timeline import from_hours, hours_since_1970
from ..files.atomic import atomic_write
from ..files.netcdf import CHANNEL_NAMES, coordinate, provenance, write_channel_names, write_horizontal
from ..observations.single import SingleObservation, parse_single
from .single import Response

#: what is known of every response beside the increment -> attributes
_OF_RESPONSES: dict[str, dict[str, str]] = {
    "departure": {"long_name": "O - B, in the units of the observed variable"},
    "error": {"long_name": "standard deviation of the observation error, in the units of the observed variable"},
    "at_observation": {"long_name": "increment at the observation, in the units of the observed variable"},
    "gradient_reduction": {
        "long_name": "norm of the cost function's gradient at the end of the minimisation over that at its start",
        "units": "1",
    },
    "evaluations": {"long_name": "evaluations of the cost function", "units": "1"},
}
_DIMENSIONS = ("experiment", "observation", "time")


@dataclass(frozen=True)
class Increments:
    """Increments by experiment, observation and time, each from one observation assimilated alone.

    Attributes
    ----------
    grid : Grid
        The error grid.
    experiments : list of str
    observations : list of SingleObservation
    times : list of datetime
    fields : (experiments, observations, times, 69, lat, lon)
        In the units of the state.
    departure, error, at_observation, gradient_reduction, evaluations : (experiments, observations, times)
        As of `Response`.
    """

    grid: Grid
    experiments: list[str]
    observations: list[SingleObservation]
    times: list[datetime]
    fields: np.ndarray
    departure: np.ndarray
    error: np.ndarray
    at_observation: np.ndarray
    gradient_reduction: np.ndarray
    evaluations: np.ndarray

    @classmethod
    def of(
        cls,
        grid: Grid,
        observations: Sequence[SingleObservation],
        responses: Mapping[str, Mapping[datetime, Sequence[Response]]],
    ) -> "Increments":
        """Make them from responses by experiment and time, in the order of observations; all have the same times."""
        times = list(next(iter(responses.values())))

        def table(name: str) -> np.ndarray:
            values = [
                [[getattr(own[time][index], name) for time in times] for index in range(len(observations))]
                for own in responses.values()
            ]
            return np.array(values, dtype=np.float32)

        columns = {name: table(name) for name in _OF_RESPONSES}
        return cls(grid, list(responses), list(observations), times, table("increment"), **columns)


def joined(parts: Sequence[Increments]) -> Increments:
    """Join those of several files, experiment after experiment.

    Raises
    ------
    ValueError
        If grids, observations or times differ.
    """
    first = parts[0]
    for part in parts[1:]:
        if (part.grid, part.observations, part.times) != (first.grid, first.observations, first.times):
            raise ValueError(
                f"the increments of {', '.join(part.experiments)} and of {', '.join(first.experiments)} have different "
                "observations, times or grids; make both again"
            )
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in ("fields", *_OF_RESPONSES)}
    experiments = [name for part in parts for name in part.experiments]
    return Increments(first.grid, experiments, first.observations, first.times, **columns)


def write_increments(path: str | Path, increments: Increments, attributes: dict[str, Any] | None = None) -> None:
    """Write them completely or not at all; `attributes` are added to the global ones of `provenance`.

    Raises
    ------
    ValueError
        If an increment is not finite.
    """
    if not np.isfinite(increments.fields).all():
        raise ValueError(f"{path}: the increments are not finite; check the background error and the background")
    grid = increments.grid
    with atomic_write(path) as temporary, netCDF4.Dataset(temporary, "w") as dataset:
        given = {"title": "Increments of single observations", **(attributes or {})}
        dataset.setncatts(provenance(grid=json.dumps([grid.kind, grid.nlat, grid.nlon]), **given))
        dataset.createDimension("channel", len(CHANNELS))
        write_channel_names(dataset)
        dataset.createDimension("experiment", len(increments.experiments))
        dataset.createDimension("observation", len(increments.observations))
        _texts(dataset, "experiment_name", "experiment", "name of the experiment", increments.experiments)
        _texts(
            dataset,
            "observation_text",
            "observation",
            "variable and pressure in hPa, latitude and longitude in degrees, and O - B where it was given",
            [str(observation) for observation in increments.observations],
        )
        hours = [hours_since_1970(time) for time in increments.times]
        when = {"units": "hours since 1970-01-01", "calendar": "proleptic_gregorian", "standard_name": "time"}
        coordinate(dataset, "time", hours, "i8", **when)
        write_horizontal(dataset, grid)
        dimensions = (*_DIMENSIONS, "channel", "latitude", "longitude")
        chunks = (1, 1, 1, len(CHANNELS), *grid.shape)
        field = dataset.createVariable(
            "increment", "f4", dimensions, chunksizes=chunks, compression="zlib", complevel=1, shuffle=True
        )
        field.long_name = "increment of the observation alone, in the units of the channel's variable"
        field.coordinates = f"experiment_name observation_text {CHANNEL_NAMES}"
        field[:] = increments.fields
        for name, described in _OF_RESPONSES.items():
            variable = dataset.createVariable(name, "f4", _DIMENSIONS, fill_value=np.float32(np.nan))
            variable.setncatts(described)
            variable.coordinates = "experiment_name observation_text"
            variable[:] = getattr(increments, name)


def read_increments(path: str | Path) -> Increments:
    """Read a file that `write_increments` wrote.

    Raises
    ------
    ValueError
        If the file is missing, incomplete, or of another kind.
    """
    try:
        with netCDF4.Dataset(path) as dataset:
            dataset.set_auto_mask(False)
            return Increments(
                Grid(*json.loads(dataset.grid)),
                [str(name) for name in dataset["experiment_name"][:]],
                [parse_single(str(text)) for text in dataset["observation_text"][:]],
                [from_hours(hours) for hours in dataset["time"][:]],
                dataset["increment"][:],
                **{name: dataset[name][:] for name in _OF_RESPONSES},
            )
    except (OSError, AttributeError, IndexError, RuntimeError) as error:
        raise ValueError(f"{path} is damaged, or is not a file of increments ({error}); make it again") from error


def _texts(dataset: netCDF4.Dataset, name: str, dimension: str, meaning: str, values: Sequence[str]) -> None:
    """Write texts along an existing dimension."""
    variable = dataset.createVariable(name, str, (dimension,))
    variable.long_name = meaning
    variable[:] = np.array(values, dtype=object)
