"""Consecutive states to train a forecast model on: in memory as coefficients, or in the files of an archive."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import torch
from torch.utils.data import DataLoader

from ..fields.grid import Grid
from ..fields.harmonics import SphericalHarmonics
from ..fields.spreading import evenly
from ..fields.state import CHANNELS
from ..files.state_file import Archive

#: steps of the longest rollout that is trained on
ROLLOUT = 2
#: most states by which means and deviations are estimated
SAMPLED = 400


@dataclass(frozen=True)
class Statistics:
    """Statistics per channel over time and area, each (69, 1, 1), in the units of the state.

    Attributes
    ----------
    mean, deviation : Tensor
        Of states.
    change_deviation : Tensor
        Root mean square of the change in a step.
    """

    mean: torch.Tensor
    deviation: torch.Tensor
    change_deviation: torch.Tensor


class Trajectories(ABC):
    """States that are a step apart."""

    @abstractmethod
    def __len__(self) -> int:
        """The number of states that are followed by `ROLLOUT` others."""

    @abstractmethod
    def read(self, starts: Sequence[int], steps: int) -> torch.Tensor:
        """The states that follow some of these, (steps + 1, starts, 69, lat, lon), in their units."""

    def read_ahead(self, batches: Sequence[tuple[Sequence[int], int]]) -> Iterator[torch.Tensor]:
        """The results of `read`, batch after batch; some are read while others are in use, where that pays."""
        return (self.read(starts, steps) for starts, steps in batches)

    @abstractmethod
    def statistics(self) -> Statistics:
        """Statistics of a sample that is evenly spread."""


class Segments(Trajectories):
    """Segments of spectral coefficients in memory.

    Parameters
    ----------
    segments : sequence of tensors
        Each of shape (time, 69, (T + 1)^2), consecutive states.
    harmonics : SphericalHarmonics
        Of their truncation T.
    device : str or torch.device
    """

    #: between states that are sampled
    EVERY = 37

    def __init__(
        self, segments: Sequence[torch.Tensor], harmonics: SphericalHarmonics, device: torch.device | str = "cpu"
    ) -> None:
        self._segments = segments
        self._harmonics = harmonics
        self._device = device
        lengths = torch.tensor([len(segment) - ROLLOUT for segment in segments])
        self._count = int(lengths.sum())
        self._firsts = torch.cumsum(lengths, 0) - lengths

    def __len__(self) -> int:
        return self._count

    def read(self, starts: Sequence[int], steps: int) -> torch.Tensor:
        """See `Trajectories`."""
        picks = torch.tensor(starts)
        owners = torch.searchsorted(self._firsts, picks, right=True) - 1
        firsts = (picks - self._firsts[owners]).tolist()
        parts = [
            self._segments[owner][first : first + steps + 1]
            for owner, first in zip(owners.tolist(), firsts, strict=True)
        ]
        return self._harmonics.synthesise(torch.stack(parts).to(self._device)).transpose(0, 1)

    def statistics(self) -> Statistics:
        """See `Trajectories`."""
        every = self.EVERY
        sample = torch.cat([self._fields(segment[::every]) for segment in self._segments])
        change = torch.cat([self._fields((segment[1:] - segment[:-1])[::every]) for segment in self._segments])
        weights = area_weights(self._harmonics.grid, self._device)
        mean = (sample * weights).mean((0, 2, 3), keepdim=True)[0]
        deviation = (((sample - mean) ** 2) * weights).mean((0, 2, 3), keepdim=True)[0].sqrt()
        return Statistics(mean, deviation, ((change**2) * weights).mean((0, 2, 3), keepdim=True)[0].sqrt())

    def _fields(self, coefficients: torch.Tensor) -> torch.Tensor:
        return self._harmonics.synthesise(coefficients.to(self._device))


class ArchiveTrajectories(Trajectories):
    """States of an archive, read when they are needed, so that only a batch is in memory.

    Parameters
    ----------
    archive : Archive
    first, last : datetime
        Of the states that are used.
    step_hours : int
    device : str or torch.device
    readers : int
        Processes that read ahead; 0 reads a batch when it is needed. Each process keeps two batches.

    Raises
    ------
    ValueError
        If no state of the archive is followed by `ROLLOUT` others.
    """

    def __init__(
        self,
        archive: Archive,
        first: datetime,
        last: datetime,
        step_hours: int,
        device: torch.device | str = "cpu",
        readers: int = 0,
    ) -> None:
        self._archive = archive
        self._device = device
        self._readers = readers
        self._step = timedelta(hours=step_hours)
        held = {time for time in archive.times if first <= time <= last}
        ahead = [self._step * step for step in range(1, ROLLOUT + 1)]
        self._starts = [time for time in sorted(held) if all(time + lead in held for lead in ahead)]
        if not self._starts:
            raise ValueError(
                f"the archive has no {ROLLOUT + 1} states that are {step_hours} h apart between {first:%Y-%m-%dT%H} "
                f"and {last:%Y-%m-%dT%H}, which the training of a forecast model needs"
            )

    def __len__(self) -> int:
        return len(self._starts)

    def read(self, starts: Sequence[int], steps: int) -> torch.Tensor:
        """See `Trajectories`."""
        return self._read(starts, steps).to(self._device)

    def read_ahead(self, batches: Sequence[tuple[Sequence[int], int]]) -> Iterator[torch.Tensor]:
        """See `Trajectories`: in forked processes, in the order of the batches."""
        loader: DataLoader[torch.Tensor] = DataLoader(
            batches,  # type: ignore[arg-type]  # whatever has a length and items will do
            batch_size=None,
            collate_fn=lambda batch: self._read(*batch),
            num_workers=self._readers,
            multiprocessing_context="fork" if self._readers else None,
            prefetch_factor=2 if self._readers else None,
        )
        return (states.to(self._device) for states in loader)

    def _read(self, starts: Sequence[int], steps: int) -> torch.Tensor:
        """The result of `read`, in the memory of the host."""
        fields = [
            torch.stack([self._state(self._starts[start] + step * self._step) for start in starts])
            for step in range(steps + 1)
        ]
        return torch.stack(fields)

    def _state(self, time: datetime) -> torch.Tensor:
        return torch.from_numpy(self._archive.read(time))

    def statistics(self) -> Statistics:
        """See `Trajectories`: two passes over the sample, in double precision."""
        sampled = evenly(range(len(self)), SAMPLED)
        weights = area_weights(self._archive.grid).double()
        mean = self._mean(state.double() * weights for state, _ in self._pairs(sampled))
        square = self._mean(((state.double() - mean) ** 2) * weights for state, _ in self._pairs(sampled))
        change = self._mean(((after.double() - state.double()) ** 2) * weights for state, after in self._pairs(sampled))
        found = [each.float().to(self._device) for each in (mean, square.sqrt(), change.sqrt())]
        for name, values in zip(("states", "changes in a step"), found[1:], strict=True):
            constant = [CHANNELS[index].name for index in torch.nonzero(values.ravel() == 0).ravel().tolist()]
            if constant:
                raise ValueError(f"{', '.join(constant)}: {name} do not vary in the archive, so nothing can be learned")
        return Statistics(*found)

    def _pairs(self, starts: Iterable[int]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for start in starts:
            state, after = self.read([start], 1)[:, 0].cpu()
            yield state, after

    @staticmethod
    def _mean(fields: Iterable[torch.Tensor]) -> torch.Tensor:
        """Mean over fields and area, (69, 1, 1)."""
        total = torch.zeros(len(CHANNELS), 1, 1, dtype=torch.float64)
        count = 0
        for each in fields:
            total += each.mean((1, 2), keepdim=True)
            count += 1
        return total / count


def area_weights(grid: Grid, device: torch.device | str = "cpu") -> torch.Tensor:
    """Weights of mean 1 by latitude, (lat, 1)."""
    return torch.as_tensor(grid.area_weights, dtype=torch.float32, device=device)[:, None]
