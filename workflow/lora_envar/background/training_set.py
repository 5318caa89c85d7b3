"""Samples of forecast errors in one netCDF file, read one by one, so that a set may be larger than the memory."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import torch

from ..fields.grid import Grid
from ..fields.seeds import generator
from ..fields.state import CHANNELS
from ..files.atomic import atomic_write
from ..files.netcdf import CHANNEL_NAMES, provenance, write_channel_names, write_horizontal


def write_samples(
    path: str | Path,
    blocks: Iterable[tuple[Sequence[int], np.ndarray]],
    grid: Grid,
    attributes: dict[str, Any] | None = None,
    meaning: str = "difference of two forecasts valid at the same time",
) -> None:
    """Write blocks of samples, and the standard deviation per channel over time and area.

    Parameters
    ----------
    blocks : iterable of (hours, array)
        Start times in hours since 1970 and samples of shape (time, 69, lat, lon), in the units of the state.
    attributes : dict, optional
        Global attributes, in addition to those of `provenance`.
    meaning : str
        What a sample is.

    Raises
    ------
    ValueError
        If a sample is not finite, or a channel has no variance.
    """
    square = np.zeros(len(CHANNELS))
    count = 0
    with atomic_write(path) as temporary, netCDF4.Dataset(temporary, "w") as dataset:
        given = {"title": "Forecast errors by the NMC method", **(attributes or {})}
        dataset.setncatts(provenance(grid=json.dumps([grid.kind, grid.nlat, grid.nlon]), **given))
        dataset.createDimension("sample", None)
        dataset.createDimension("channel", len(CHANNELS))
        write_horizontal(dataset, grid)
        write_channel_names(dataset)
        start = dataset.createVariable("start", "i8", ("sample",))
        start.setncatts({"units": "hours since 1970-01-01", "calendar": "proleptic_gregorian"})
        start.setncatts(
            {"standard_name": "forecast_reference_time", "long_name": "start of the forecast, of two the longer"}
        )
        error = dataset.createVariable(
            "error",
            "f4",
            ("sample", "channel", "latitude", "longitude"),
            chunksizes=(1, len(CHANNELS), *grid.shape),
            compression="zlib",
            complevel=1,
            shuffle=True,
        )
        error.long_name = f"{meaning}, in the units of the channel's variable"
        error.coordinates = f"start {CHANNEL_NAMES}"
        for hours, samples in blocks:
            if not np.isfinite(samples).all():
                bad = CHANNELS[int(np.flatnonzero(~np.isfinite(samples).all(axis=(0, 2, 3)))[0])].name
                raise ValueError(
                    f"{path}: the forecast errors of {bad} are not finite; check the archive and the forecast model"
                )
            dataset["start"][count : count + len(hours)] = hours
            dataset["error"][count : count + len(hours)] = samples
            square += grid.mean(samples.astype(np.float64) ** 2).sum(axis=0)
            count += len(hours)
        deviation = np.sqrt(square / max(count, 1))
        if not (deviation > 0).all():
            constant = [CHANNELS[i].name for i in np.flatnonzero(~(deviation > 0))]
            raise ValueError(
                f"{path}: the forecast errors of {', '.join(constant)} have no variance; check the archive and the "
                "forecast model"
            )
        variable = dataset.createVariable("standard_deviation", "f4", ("channel",))
        variable.long_name = "standard deviation of the forecast errors over time and area, in the units of the state"
        variable.coordinates = CHANNEL_NAMES
        variable[:] = deviation


class TrainingSet:
    """The samples of a file that `write_samples` wrote.

    Attributes
    ----------
    grid : Grid
    hours : list of int
        Start times, hours since 1970.
    deviation : (69,) float32
        Standard deviation per channel, in the units of the state.

    Raises
    ------
    ValueError
        If the file is missing, truncated, or not of this kind.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = path
        try:
            self._dataset = netCDF4.Dataset(path)
            self._dataset.set_auto_mask(False)
            self.grid = Grid(*json.loads(self._dataset.grid))
            self.hours = self._dataset["start"][:].tolist()
            self.deviation = self._dataset["standard_deviation"][:]
        except (OSError, AttributeError, IndexError) as error:
            raise ValueError(
                f"{path} is damaged, or is not a set of forecast errors ({error}); make it again"
            ) from error

    def __len__(self) -> int:
        return len(self.hours)

    def read(self, indices: slice | Iterable[int] = slice(None)) -> np.ndarray:
        """Samples, float32 of shape (batch, 69, lat, lon), in the units of the state."""
        error = self._dataset["error"]
        return error[indices] if isinstance(indices, slice) else np.stack([error[index] for index in indices])

    def centred(self, batch: int = 16) -> Iterator[torch.Tensor]:
        """All samples minus their mean, in batches of (batch, 69, lat, lon), float64, in the units of the state."""
        batches = [range(first, min(first + batch, len(self))) for first in range(0, len(self), batch)]
        mean = sum(torch.from_numpy(self.read(part)).double().sum(0) for part in batches) / len(self)
        for part in batches:
            yield torch.from_numpy(self.read(part)).double() - mean

    def draw(self, count: int, seed: int, *purpose: object) -> torch.Tensor:
        """Draw different samples at random, (count, 69, lat, lon), in the units of the state."""
        picked = torch.randperm(len(self), generator=generator(seed, "samples", *purpose))[:count]
        return torch.from_numpy(self.read(sorted(picked.tolist())))

    def split(self, held_out: float) -> tuple[list[int], list[int]]:
        """Indices to train on and to hold out; the last share of the period is held out, to be apart in time."""
        first = len(self) - max(1, round(held_out * len(self)))
        if not first:
            raise ValueError(
                f"{self.path} has {len(self)} samples, too few to hold any out; make the period of nmc longer"
            )
        return list(range(first)), list(range(first, len(self)))
