"""From what a source delivered to states on the configured grid, and their climatology."""

from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr

from ..grid import Grid, SphericalHarmonics, regridder
from ..state import CHANNELS
from ..state_file import Archive
from .layout import states_from_dataset


def prepare(path, grid: Grid, truncation: int | None, derive: tuple[str, ...] = ()):
    """Times and states, shape (time, 69, lat, lon), of a source's file, on `grid`.

    Parameters
    ----------
    truncation : int or None
        Total wavenumber beyond which fields are cut off.
    derive : tuple of str
        See `layout.states_from_dataset`.
    """
    with xr.open_dataset(path) as dataset:
        times, found, states = states_from_dataset(dataset, str(path), derive)
    fields = regridder(found, grid)(torch.from_numpy(states))
    if truncation is not None:
        fields = SphericalHarmonics(grid, truncation).project(fields)
    return times, fields.numpy()


@dataclass(frozen=True)
class Climatology:
    """Mean state, (69, lat, lon), and standard deviation of the anomalies per channel, (69,), over time and area."""

    mean: np.ndarray
    deviation: np.ndarray


def climatology(archive: Archive, times) -> Climatology:
    """Mean and anomaly standard deviation over the given times, in two passes over the archive.

    Raises
    ------
    ValueError
        If a channel does not vary.
    """
    total = np.zeros((len(CHANNELS), *archive.grid.shape))
    for time in times:
        total += archive.read(time)
    mean = total / len(times)
    square = np.zeros(len(CHANNELS))
    for time in times:
        square += archive.grid.mean((archive.read(time) - mean) ** 2)
    deviation = np.sqrt(square / len(times))
    if not (deviation > 0).all():
        constant = [CHANNELS[i].name for i in np.flatnonzero(~(deviation > 0))]
        raise ValueError(f"the archive's {', '.join(constant)} do not vary over {len(times)} times")
    return Climatology(mean.astype(np.float32), deviation.astype(np.float32))
