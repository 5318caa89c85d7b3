"""Power spectra of states, increments and errors, which show at which scales analyses and forecasts are right."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
import torch

from ..fields.grid import Grid
from ..fields.harmonics import SphericalHarmonics, finest_truncation
from ..fields.state import CHANNELS, HEADLINE, channel_index

#: of tables of spectra: power is the variance per total wavenumber, in squared units, a mean over so many states
COLUMNS = ["experiment", "kind", "lead_hours", "variable", "level", "wavenumber", "power", "states"]

#: indices of the channels whose spectra are taken
CHOSEN = [channel_index(name) for name in HEADLINE]


class MeanSpectra:
    """Means of spectra, by kind and lead.

    Parameters
    ----------
    grid : Grid
    """

    def __init__(self, grid: Grid) -> None:
        self._harmonics = SphericalHarmonics(grid, finest_truncation(grid))
        self._sums: dict[tuple[str, int], torch.Tensor] = {}
        self._counts: dict[tuple[str, int], int] = {}

    def add(self, kind: str, field: np.ndarray, lead: int = 0) -> None:
        """Add the spectra of the channels of `HEADLINE` of a state or a difference, (69, lat, lon)."""
        chosen = torch.from_numpy(np.asarray(field[CHOSEN], dtype=np.float32))
        power = self._harmonics.power(chosen).double()
        self._sums[kind, lead] = self._sums.get((kind, lead), torch.zeros_like(power)) + power
        self._counts[kind, lead] = self._counts.get((kind, lead), 0) + 1

    def table(self, experiment: str) -> pd.DataFrame:
        """A table with `COLUMNS`."""
        parts = []
        for (kind, lead), total in self._sums.items():
            count = self._counts[kind, lead]
            for index, power in zip(CHOSEN, (total / count).numpy(), strict=True):
                part = pd.DataFrame({"wavenumber": np.arange(len(power)), "power": power})
                about = {"experiment": experiment, "kind": kind, "lead_hours": lead, "states": count}
                parts.append(part.assign(**about, variable=CHANNELS[index].variable, level=CHANNELS[index].level))
        if not parts:
            return pd.DataFrame(columns=COLUMNS)
        return pd.concat(parts, ignore_index=True).astype({"level": "Int64"})[COLUMNS]


def of_cycles(
    experiment: str,
    cycles: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]],
    forecasts: Iterable[tuple[int, np.ndarray, np.ndarray]],
    grid: Grid,
) -> pd.DataFrame:
    """Mean spectra of an experiment's cycles and forecasts, with `COLUMNS`.

    Parameters
    ----------
    cycles : iterable of (analysis, background, truth)
        Each (69, lat, lon), in the units of the state.
    forecasts : iterable of (lead in hours, forecast, truth)
    """
    spectra = MeanSpectra(grid)
    for analysis, background, truth in cycles:
        spectra.add("truth", truth)
        spectra.add("analysis", analysis)
        spectra.add("increment", analysis - background)
        spectra.add("analysis_error", analysis - truth)
        spectra.add("background_error", background - truth)
    for lead, forecast, truth in forecasts:
        spectra.add("forecast", forecast, lead)
        spectra.add("forecast_error", forecast - truth, lead)
    return spectra.table(experiment)


def pooled(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Means over tables of blocks of the same experiments, weighted by their states."""
    keys = COLUMNS[:-2]
    rows = pd.concat(tables, ignore_index=True).astype({"level": "Int64"})
    sums = rows.assign(power=rows.power * rows.states)
    found = sums.groupby(keys, as_index=False, sort=False, dropna=False)[["power", "states"]].sum()
    return found.assign(power=found.power / found.states)[COLUMNS]
