"""A nature run as a Zarr store in the layout of WeatherBench 2, to rehearse the way from a store to a report.

The layout is that of ERA5 in WeatherBench 2 (Rasp et al. 2024, https://doi.org/10.1029/2023MS004019): variables by
their long names with the dimensions time, level, longitude and latitude, float32; levels from the top down; longitudes
from 0 eastward; latitudes from south to north; Zarr's format 2 with its metadata in one file. An even number of
latitudes is that of cells, at whose centres the values are (64 x 32 points); an odd number includes both poles
(240 x 121, 1440 x 721).
"""

import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from ..example_world.packed import read_coefficients
from ..fields.grid import Grid
from ..fields.harmonics import SphericalHarmonics
from ..fields.state import CHANNELS, LEVELS, SURFACE, VARIABLES
from ..files.netcdf import provenance

#: longitudes and latitudes of WeatherBench 2's coarsest store
POINTS = (64, 32)
#: values of a variable and a level in one chunk: 40 times of the coarsest store, one of 0.25 degrees
CHUNK = 40 * 64 * 32
#: what a store that was made here says of itself
TITLE = "Nature run in the layout of WeatherBench 2"


def make_store(
    path: str | Path,
    out: str | Path,
    points: tuple[int, int] = POINTS,
    first: datetime | None = None,
    last: datetime | None = None,
) -> str:
    """Write the states of a packed archive to a store; return a line about it.

    Parameters
    ----------
    path : path
        File of `example_world.packed.write_coefficients`.
    out : path
        A folder that does not exist yet, or a store that was made here.
    points : tuple of int
        Longitudes and latitudes; an odd number of latitudes includes the poles.
    first, last : datetime, optional
        Of the states that are written; by default all.

    Raises
    ------
    ValueError
        If the file cannot be read, has no state in this period, or has smaller scales than the points resolve.
    """
    times, coefficients = read_coefficients(path)
    wanted = np.ones(len(times), dtype=bool)
    if first is not None:
        wanted &= times >= _hour(first)
    if last is not None:
        wanted &= times <= _hour(last)
    if not wanted.any():
        raise ValueError(f"{path}: has states from {times[0]} to {times[-1]}, and none between --start and --end")
    times = times[wanted]
    coefficients = coefficients[torch.as_tensor(wanted)]
    synthesise, latitude, longitude = _synthesis(points, round(coefficients.shape[-1] ** 0.5) - 1)
    out = Path(out)
    unfinished = out.with_name(f".{out.name}.part")
    per_chunk = max(1, CHUNK // (points[0] * points[1]))
    for start in range(0, len(times), per_chunk):
        fields = synthesise(coefficients[start : start + per_chunk])
        part = _dataset(fields.transpose(-1, -2).numpy(), times[start : start + per_chunk], latitude, longitude)
        part.attrs = provenance(title=TITLE)
        if start:
            part.to_zarr(unfinished, append_dim="time", zarr_format=2, consolidated=True)
            continue
        encoding: dict[str, Any] = {
            str(name): {"chunks": (per_chunk, *part[name].shape[1:])} for name in part.data_vars
        }
        encoding["time"] = {"units": "hours since 1959-01-01", "chunks": (len(times),), "dtype": "int64"}
        part.to_zarr(unfinished, mode="w", zarr_format=2, consolidated=True, encoding=encoding)
    if out.exists():
        shutil.rmtree(out)
    unfinished.rename(out)
    return f"{len(times)} states, {times[0]} to {times[-1]}, {points[0]} x {points[1]} points"


def _hour(time: datetime) -> np.datetime64:
    return np.datetime64(time.replace(tzinfo=None), "h")


def _synthesis(
    points: tuple[int, int], truncation: int
) -> tuple[Callable[[torch.Tensor], torch.Tensor], np.ndarray, np.ndarray]:
    """From coefficients to fields (time, 69, lat, lon), latitudes from south to north; and latitudes and longitudes."""
    longitudes, latitudes = points
    cells = latitudes % 2 == 0
    # the centres of cells are every other latitude, from the second on, of a grid with poles of twice as many steps
    grid = Grid("equiangular", 2 * latitudes + 1 if cells else latitudes, longitudes)
    harmonics = SphericalHarmonics(grid, truncation)
    kept = slice(1, None, 2) if cells else slice(None)

    def synthesise(coefficients: torch.Tensor) -> torch.Tensor:
        return harmonics.synthesise(coefficients)[..., kept, :].flip(-2)

    return synthesise, grid.latitude[kept][::-1], grid.longitude


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
