"""What all netCDF files of the workflow have in common: what made them, and coordinates as CF wants them."""

from collections.abc import Sequence
from typing import Any

import netCDF4
import numpy as np
from numpy.typing import ArrayLike

from .. import __version__
from ..fields.grid import Grid
from ..fields.state import NAMES

#: variable with the names of channels: one that has the name of its dimension would have to be a number
CHANNEL_NAMES = "channel_name"


def provenance(**attributes: Any) -> dict[str, Any]:
    """Global attributes that say what made a file, those given among them (title, experiment, seed, ...).

    No date and no history, so that the same step gives the same bytes.
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
