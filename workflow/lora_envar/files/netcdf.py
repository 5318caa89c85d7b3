"""What all netCDF files of the workflow have in common: their provenance, and coordinates that follow CF."""

import json
from collections.abc import Sequence
from typing import Any

import netCDF4
import numpy as np
from numpy.typing import ArrayLike

from .. import __version__
from ..fields.grid import Grid
from ..fields.state import LEVELS, NAMES, UPPER_AIR, VARIABLES

#: variable with the names of channels: one that has the name of its dimension would have to be a number
CHANNEL_NAMES = "channel_name"
#: attributes of coordinates: times are whole hours
_CLOCK = {"kind": "i8", "units": "hours since 1970-01-01", "calendar": "proleptic_gregorian"}
VALID_TIME = {**_CLOCK, "standard_name": "time", "long_name": "valid time"}
START = {**_CLOCK, "standard_name": "forecast_reference_time", "long_name": "start of the forecast"}
LEAD = {"kind": "i4", "units": "hours", "standard_name": "forecast_period", "long_name": "lead of the forecast"}
#: by which xarray reads a lead as what it is, a difference of times
AS_DIFFERENCE = {"dtype": "timedelta64[ns]"}


def provenance(**attributes: Any) -> dict[str, Any]:
    """Global attributes that say what made a file, together with given ones (title, experiment, seed, ...).

    There is no date and no history, so that the same step makes the same bytes.
    """
    return {"Conventions": "CF-1.11", "source": f"lora-envar {__version__}", **attributes}


def coordinate(
    dataset: netCDF4.Dataset, name: str, values: Sequence[int] | np.ndarray, kind: str, **attributes: Any
) -> None:
    """A dimension and its coordinate, in a netCDF file that is open.

    Parameters
    ----------
    dataset : netCDF4.Dataset
    name : str
        Of both.
    values : array or sequence of numbers
    kind : str
        Of the variable, as ``f8``.
    attributes
        Of the variable: units, standard_name, ...
    """
    dataset.createDimension(name, len(values))
    auxiliary_coordinate(dataset, name, (name,), values, kind, **attributes)


def auxiliary_coordinate(
    dataset: netCDF4.Dataset, name: str, dimensions: tuple[str, ...], values: ArrayLike, kind: str, **attributes: Any
) -> None:
    """A coordinate along dimensions that exist, in a netCDF file that is open; parameters as of `coordinate`."""
    variable = dataset.createVariable(name, kind, dimensions)
    variable.setncatts(attributes)
    variable[...] = np.asarray(values)


def write_horizontal(dataset: netCDF4.Dataset, grid: Grid) -> None:
    """Dimensions and coordinates of a grid, in a netCDF file that is open."""
    coordinate(dataset, "latitude", grid.latitude, "f8", units="degrees_north", standard_name="latitude")
    coordinate(dataset, "longitude", grid.longitude, "f8", units="degrees_east", standard_name="longitude")


def write_channel_names(dataset: netCDF4.Dataset) -> None:
    """Names of the channels along the dimension `channel`, in a netCDF file that is open."""
    variable = dataset.createVariable(CHANNEL_NAMES, str, ("channel",))
    variable.long_name = "name of the channel: a variable, and its pressure level in hPa"
    variable[:] = np.array(NAMES, dtype=object)


def begin_states(dataset: netCDF4.Dataset, grid: Grid, title: str, attributes: dict[str, Any] | None = None) -> None:
    """Global attributes, in which a `title` replaces the general one, levels and grid of a file that is open."""
    given = {"title": title, **(attributes or {})}
    dataset.setncatts(provenance(grid=json.dumps([grid.kind, grid.nlat, grid.nlon]), **given))
    coordinate(dataset, "level", LEVELS, "i4", units="hPa", standard_name="air_pressure", positive="down")
    write_horizontal(dataset, grid)


def declare_fields(
    dataset: netCDF4.Dataset,
    leading: tuple[str, ...],
    auxiliary: Sequence[str] = (),
    modifier: str = "",
    **options: Any,
) -> list[netCDF4.Variable]:
    """The nine variables of states, without values, in a file of `begin_states`.

    Each horizontal field is a chunk of its own, since states are read whole; a chunk that is never written takes no
    space.

    Parameters
    ----------
    leading : tuple of str
        Dimensions before level, latitude and longitude.
    auxiliary : sequence of str
        Names of coordinates that are not dimensions.
    modifier : str
        Of the standard names, as CF has it: ``standard_error``.
    options
        Of `createVariable`: compression, fill_value.
    """
    variables = []
    for short, (long, standard, units) in VARIABLES.items():
        dimensions = (*leading, *(("level",) if short in UPPER_AIR else ()), "latitude", "longitude")
        sizes = [len(dataset.dimensions[name]) for name in dimensions[-2:]]
        chunks = (*(1,) * (len(dimensions) - 2), *sizes)
        variable = dataset.createVariable(long, "f4", dimensions, chunksizes=chunks, **options)
        name = f"{standard} {modifier}".strip()
        variable.setncatts({"standard_name": name, "units": units, "short_name": short})
        if auxiliary:
            variable.coordinates = " ".join(auxiliary)
        variables.append(variable)
    return variables


def put_fields(variables: Sequence[netCDF4.Variable], index: Any, states: np.ndarray) -> None:
    """Write states, (..., 69, lat, lon), at an index of the leading dimensions of `declare_fields`."""
    position = 0
    for variable in variables:
        upper = "level" in variable.dimensions
        count = len(LEVELS) if upper else 1
        block = states[..., position : position + count, :, :]
        variable[index] = block if upper else block[..., 0, :, :]
        position += count
