"""The spread of samples around analyses compared with their error: whether an analysis knows how wrong it is.

The spread is that of `analysis.posterior`, about the analysis itself. If the truth is drawn from what samples are drawn
from, its mean square difference from the analysis is the samples', whatever their number: the factor (K + 1) / K of
ensembles (Fortin et al. 2014, see `ensemble_scores`) corrects the error of the mean of K members, and none is needed
here. A ratio of spread over error below 1 is too much confidence.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch

from ..fields.grid import Grid
from ..fields.harmonics import SphericalHarmonics, finest_truncation
from .learned import SMOOTHED_TO, region_means
from .score import REGIONS, by_region_and_channel

#: of the table: root mean squares over area and cycles, in the units of the state, but for the ratio
COLUMNS = ["experiment", "variable", "level", "region", "spread", "error", "spread_over_error", "cycles"]


@dataclass
class SpreadAndError:
    """Squares of spread and error of an experiment's analyses, summed over cycles.

    Attributes
    ----------
    grid : Grid
        Of analyses, and of the truth.
    cycles : int
        Number of cycles that were added.
    """

    grid: Grid
    cycles: int = 0
    _sums: dict[str, torch.Tensor] = field(default_factory=dict)

    def add(self, spread: np.ndarray, analysis: np.ndarray, truth: np.ndarray) -> None:
        """Add a cycle, each of shape (69, lat, lon), in the units of the state."""
        self.cycles += 1
        difference = torch.from_numpy(analysis.astype(np.float64) - truth)
        for name, values in (("spread", torch.from_numpy(spread.astype(np.float64))), ("error", difference)):
            self._sums[name] = self._sums.get(name, torch.zeros_like(values)) + values**2

    def _square(self, name: str) -> torch.Tensor:
        return self._sums[name] / self.cycles

    def by_latitude(self, name: str) -> np.ndarray:
        """Root mean square along latitudes of ``spread`` or ``error``, (69, lat)."""
        return self._square(name).mean(-1).sqrt().numpy()

    def map_of(self, name: str, channel: int) -> np.ndarray:
        """Root mean square over cycles of one channel, its squares smoothed, (lat, lon)."""
        harmonics = SphericalHarmonics(self.grid, min(SMOOTHED_TO, finest_truncation(self.grid)), torch.float64)
        # a truncated series falls below zero where the squares are small
        return harmonics.project(self._square(name)[channel]).clamp_min(0.0).sqrt().numpy()

    def table(self, experiment: str) -> pd.DataFrame:
        """A table with `COLUMNS`, one row per region and channel."""
        means = {name: region_means(self._square(name), self.grid, REGIONS).sqrt().numpy() for name in self._sums}
        ratio = {"spread_over_error": means["spread"] / means["error"]}
        return by_region_and_channel(means | ratio).assign(experiment=experiment, cycles=self.cycles)[COLUMNS]


def of_experiments(
    entries: Iterable[tuple[str, np.ndarray, np.ndarray, np.ndarray]], grid: Grid
) -> dict[str, SpreadAndError]:
    """Sum up by experiment, from the name, spread, analysis and truth of one cycle after the other.

    Parameters
    ----------
    entries : iterable of (experiment, spread, analysis, truth)
        Each field (69, lat, lon), in the units of the state.
    """
    found: dict[str, SpreadAndError] = {}
    for experiment, *fields in entries:
        found.setdefault(experiment, SpreadAndError(grid)).add(*fields)
    return found


def table_of(found: dict[str, SpreadAndError]) -> pd.DataFrame:
    """Join the tables of all experiments."""
    return pd.concat([own.table(name) for name, own in found.items()], ignore_index=True)
