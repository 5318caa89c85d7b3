"""A nature run as a Zarr store in the layout of WeatherBench 2, so that the way from a store to a report can be tried.

The layout is that of ERA5 at 64 x 32 points in WeatherBench 2 (Rasp et al. 2024, https://doi.org/10.1029/2023MS004019):
variables by their long names with the dimensions time, level, longitude and latitude, float32; levels from the top
down; longitudes from 0 eastward; latitudes from south to north, at the centres of cells, so that none is a pole; Zarr's
format 2 with its metadata in one file.
"""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ..example_world.packed import read_coefficients
from ..fields.grid import Grid
from ..fields.harmonics import SphericalHarmonics
from ..fields.state import CHANNELS, LEVELS, SURFACE, VARIABLES
from ..files.netcdf import provenance

LATITUDES = 32
LONGITUDES = 64
#: times in one chunk
CHUNK = 40
#: what a store that was made here says of itself
TITLE = "Nature run in the layout of WeatherBench 2"


def make_store(path: str | Path, out: str | Path) -> str:
    """Write the states of a packed archive to a store; gives a line about it.

    Parameters
    ----------
    path : path
        File of `example_world.packed.write_coefficients`.
    out : path
        Folder, which must not be there, or be a store that was made here.

    Raises
    ------
    ValueError
        If the file cannot be read.
    """
    times, coefficients = read_coefficients(path)
    truncation = round(coefficients.shape[-1] ** 0.5) - 1
    # of an equiangular grid with poles every other latitude, from the second on, is a centre of the cells
    finer = Grid("equiangular", 2 * LATITUDES + 1, LONGITUDES)
    harmonics = SphericalHarmonics(finer, truncation)
    latitude = finer.latitude[1::2][::-1]
    out = Path(out)
    unfinished = out.with_name(f".{out.name}.part")
    for first in range(0, len(times), CHUNK):
        fields = harmonics.synthesise(coefficients[first : first + CHUNK])[..., 1::2, :].flip(-2)
        part = _dataset(fields.transpose(-1, -2).numpy(), times[first : first + CHUNK], latitude, finer.longitude)
        part.attrs = provenance(title=TITLE)
        if first:
            part.to_zarr(unfinished, append_dim="time", zarr_format=2, consolidated=True)
            continue
        encoding: dict[str, Any] = {str(name): {"chunks": (CHUNK, *part[name].shape[1:])} for name in part.data_vars}
        encoding["time"] = {"units": "hours since 1959-01-01", "chunks": (len(times),), "dtype": "int64"}
        part.to_zarr(unfinished, mode="w", zarr_format=2, consolidated=True, encoding=encoding)
    if out.exists():
        shutil.rmtree(out)
    unfinished.rename(out)
    return f"{len(times)} states, {times[0]} to {times[-1]}, {LONGITUDES} x {LATITUDES} points"


def _dataset(fields: np.ndarray, times: np.ndarray, latitude: np.ndarray, longitude: np.ndarray) -> xr.Dataset:
    """States (time, 69, lon, lat) as the store has them."""
    coordinates = {
        "time": times.astype("datetime64[ns]"),
        "level": np.array(LEVELS, dtype=np.int64),
        "longitude": ("longitude", longitude, {"units": "degrees_east", "standard_name": "longitude"}),
        "latitude": ("latitude", latitude, {"units": "degrees_north", "standard_name": "latitude"}),
    }
    names = [channel.variable for channel in CHANNELS]
    variables = {}
    for short, (long, standard, units) in VARIABLES.items():
        own = fields[:, [index for index, name in enumerate(names) if name == short]]
        dimensions = ["time", "level", "longitude", "latitude"]
        if short in SURFACE:
            own = own[:, 0]
            dimensions.remove("level")
        # as ecCodes writes units
        about = {"units": units.replace("-", "**-").replace("m2", "m**2"), "standard_name": standard}
        variables[long] = (dimensions, own, about)
    return xr.Dataset(variables, coordinates)
