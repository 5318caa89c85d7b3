"""From the file of a source to states on the configured grid, and their climatology."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import torch
import xarray as xr

from ..fields.grid import Grid
from ..fields.harmonics import SphericalHarmonics
from ..fields.regridding import Axes, Regridder, regridder
from ..fields.state import CHANNELS
from ..files.state_file import Archive
from .completeness import absences, describe_channels, gaps, missing_channels, refuse_incomplete
from .layout import own_grid, stack, standard_dataset, utc_times
from .opening import open_datasets
from .options import AS_THEY_COME, Options

#: points of a channel that are prepared at once
BATCH_POINTS = 65536


@dataclass(frozen=True)
class States:
    """The states that were found in files of a user.

    Attributes
    ----------
    times : list of datetime
    grid : Grid or None
        None if the workflow does not know the files' grid and no other was requested.
    fields : (time, 69, lat, lon)
        In the units of the state; what is missing is not a number.
    missing : tuple of str
        Names of the channels that are missing at any time.
    report : list of str
        What was found, converted, left out, and what is missing, one line each.
    """

    times: list[datetime]
    grid: Grid | None
    fields: np.ndarray
    missing: tuple[str, ...]
    report: list[str]


def read_states(
    paths: Sequence[str | Path], grid: Grid | None = None, options: Options = AS_THEY_COME, partial: bool = False
) -> States:
    """Read the states that GRIB and netCDF files have together, at the times at which they are complete, if any.

    Parameters
    ----------
    paths : sequence of paths
    grid : Grid, optional
        The grid to interpolate to; by default, that of the files.
    options : Options
    partial : bool
        Whether to return incomplete states as well, so that a message can say what is missing.

    Raises
    ------
    IncompleteError
        Unless `partial`, if something is missing at every time; all of it is named.
    ValueError
        If a file cannot be understood, the files contradict each other, or values cannot be the atmosphere's.
    SourceError
        If a file cannot be read.
    """
    source = ", ".join(map(str, paths)) if len(paths) < 4 else f"{paths[0]} and {len(paths) - 1} more files"
    parts = [(str(path), dataset) for path in paths for dataset in open_datasets(path)]
    standard, notes = standard_dataset(parts, options)
    absent = absences(standard, options.derive)
    whole = np.asarray(~absent.any(axis=0))
    if not whole.any() and not (partial and standard.data_vars):
        refuse_incomplete(standard, source, options, notes)
    if whole.any() and not whole.all():
        holes = gaps(absent, standard.time.values, options.derive)
        notes.append(f"left out: {(~whole).sum()} of {len(whole)} times, which are incomplete; missing are {holes}")
        standard = standard.isel(time=whole)
        absent = absent[:, whole]
    missing = missing_channels(absent)
    fields = stack(standard, source, options.derive, partial)
    latitude = standard.latitude.values
    longitude = standard.longitude.values
    times = utc_times(standard, source)
    report = [f"files: {source}", f"times: {len(times)}, {times[0]:%Y-%m-%dT%H} to {times[-1]:%Y-%m-%dT%H}"]
    found: Grid | None
    try:
        found = own_grid(standard, source)
        report.append(f"grid: {found.kind}, {found.nlat} x {found.nlon}")
    except ValueError:
        if grid is None and not partial:
            raise
        found = None
        report.append(
            f"grid: {latitude.size} x {longitude.size}, latitudes from {latitude[0]:g}, longitudes from "
            f"{longitude[0]:g}; the workflow cannot compute on a grid of this kind"
        )
    report.append(f"variables: {', '.join(map(str, standard.data_vars))}")
    report += notes
    report += [f"derived: {name} from 1000 hPa" for name in options.derive if name not in standard]
    if (absent.any(axis=1) & ~absent.all(axis=1)).any():
        report.append(f"missing: {gaps(absent, standard.time.values, options.derive)}")
    else:
        report.append(f"missing: {describe_channels(missing)}" if missing else "missing: nothing")
    if grid is not None and grid != found:
        fields = _to_grid(latitude, longitude, grid)(torch.from_numpy(fields)).numpy()
        found = grid
        report.append(f"regridded: to {grid.kind}, {grid.nlat} x {grid.nlon}")
    return States(times, found, fields, tuple(missing), report)


def prepare(
    path: str | Path, grid: Grid, truncation: int | None, derive: tuple[str, ...] = ()
) -> tuple[list[datetime], Iterator[np.ndarray]]:
    """Read the times and states of a source's file, on `grid`.

    The states come in parts, each (times, 69, lat, lon), because all of them may not fit into memory.

    Parameters
    ----------
    truncation : int or None
        Largest total wavenumber that is kept.
    derive : tuple of str
        See `layout.Options`.

    Raises
    ------
    ValueError
        If something is missing (an IncompleteError), or values cannot be the atmosphere's.
    """
    options = Options(tuple(derive))
    with xr.open_dataset(path, engine="netcdf4", cache=False) as dataset:
        whole = _standard(dataset, str(path), options)
        times = utc_times(whole, str(path))
    return times, _parts(path, grid, truncation, options)


def _standard(dataset: xr.Dataset, source: str, options: Options) -> xr.Dataset:
    whole, _ = standard_dataset([(source, dataset)], options)
    if not whole.data_vars:
        refuse_incomplete(whole, source, options)
    return whole


def _parts(path: str | Path, grid: Grid, truncation: int | None, options: Options) -> Iterator[np.ndarray]:
    source = str(path)
    harmonics = None if truncation is None else SphericalHarmonics(grid, truncation)
    with xr.open_dataset(path, engine="netcdf4", cache=False) as dataset:
        whole = _standard(dataset, source, options)
        to_grid = _to_grid(whole.latitude.values, whole.longitude.values, grid)
        count = max(1, BATCH_POINTS // (whole.latitude.size * whole.longitude.size))
        for first in range(0, whole.sizes["time"], count):
            standard = whole.isel(time=slice(first, first + count)).load()
            refuse_incomplete(standard, source, options)
            fields = to_grid(torch.from_numpy(stack(standard, source, options.derive)))
            yield (fields if harmonics is None else harmonics.project(fields)).numpy()


def _to_grid(latitude: np.ndarray, longitude: np.ndarray, grid: Grid) -> Regridder:
    """The regridding from global axes, whether of a known grid or not, to a grid."""
    try:
        return regridder(Grid.from_coordinates(latitude, longitude), grid)
    except ValueError:
        return regridder(Axes(latitude, longitude), grid)


@dataclass(frozen=True)
class Climatology:
    """Mean state, (69, lat, lon), and standard deviation of the anomalies per channel, (69,), over time and area."""

    mean: np.ndarray
    deviation: np.ndarray


def climatology(archive: Archive, times: Sequence[datetime]) -> Climatology:
    """Mean and anomaly standard deviation over the given times.

    Raises
    ------
    ValueError
        If a channel does not vary.
    """
    first = archive.read(times[0]).astype(np.float64)
    total = np.zeros_like(first)
    square = np.zeros(len(CHANNELS))
    for time in times:
        departure = archive.read(time) - first
        total += departure
        square += archive.grid.mean(departure**2)
    mean = total / len(times)
    deviation = np.sqrt((square / len(times) - archive.grid.mean(mean**2)).clip(0.0))
    mean += first
    if not (deviation > 0).all():
        constant = [CHANNELS[i].name for i in np.flatnonzero(~(deviation > 0))]
        raise ValueError(
            f"{', '.join(constant)} in the archive are the same at all {len(times)} times; check the source of the "
            "archive"
        )
    return Climatology(mean.astype(np.float32), deviation.astype(np.float32))
