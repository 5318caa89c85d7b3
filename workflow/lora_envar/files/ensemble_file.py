"""The states of an ensemble, all valid at one time, in netCDF-4 as in `state_file`."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from ..fields.grid import Grid
from ..fields.timeline import from_hours, hours_since_1970
from .atomic import atomic_write
from .netcdf import VALID_TIME, auxiliary_coordinate, begin_states, coordinate, declare_fields, put_fields
from .state_file import checked_states, read_fields


def write_ensemble(
    path: str | Path,
    members: np.ndarray,
    time: datetime,
    grid: Grid,
    attributes: dict[str, Any] | None = None,
) -> None:
    """Write the states of an ensemble, (members, 69, lat, lon), all valid at one time.

    Parameters
    ----------
    attributes : dict, optional
        See `write_states`.

    Raises
    ------
    ValueError
        If the shape does not fit, or a channel has values that are not finite.
    """
    members = checked_states(path, members, (len(members),), grid)
    with atomic_write(path) as temporary, netCDF4.Dataset(temporary, "w") as dataset:
        title = f"Ensemble of states valid at {time:%Y-%m-%dT%H} UTC"
        begin_states(dataset, grid, title, attributes)
        numbers = {"units": "1", "standard_name": "realization", "long_name": "member of the ensemble"}
        coordinate(dataset, "member", range(len(members)), "i4", **numbers)
        auxiliary_coordinate(dataset, "time", (), hours_since_1970(time), **VALID_TIME)
        put_fields(declare_fields(dataset, ("member",), ["time"]), ..., members)


def read_ensemble(path: str | Path, time: datetime) -> tuple[np.ndarray, Grid]:
    """Read the states that `write_ensemble` wrote, float32 of shape (members, 69, lat, lon), and their grid.

    Raises
    ------
    ValueError
        If the file cannot be read, is not valid at the time, or has values that are not finite.
    """
    try:
        with netCDF4.Dataset(path) as dataset:
            dataset.set_auto_mask(False)
            grid = Grid(*json.loads(dataset.grid))
            count = len(dataset.dimensions["member"])
            valid = from_hours(dataset["time"][...])
            members = read_fields(dataset, path, slice(0, count))
    except (OSError, AttributeError, IndexError, KeyError, RuntimeError) as error:
        raise ValueError(
            f"{path} is damaged, or is not an ensemble of this workflow ({error}); make it again"
        ) from error
    if valid != time:
        raise ValueError(
            f"{path} is valid at {valid:%Y-%m-%dT%H}, but must be valid at {time:%Y-%m-%dT%H}; make it again"
        )
    return members, grid
