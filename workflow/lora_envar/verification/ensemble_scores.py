"""Scores of ensembles against the truth: fair CRPS, spread over error, and rank histograms."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
import xarray as xr

from ..fields.grid import Grid
from ..fields.state import CHANNELS, HEADLINE, NAMES, channel_index
from .learned import region_means
from .score import REGIONS, by_region_and_channel

#: of the table of scores, means over `cycles`: in the units of the state, but for the ratio
COLUMNS = ["variable", "level", "region", "members", "crps", "spread", "error", "spread_over_error", "cycles"]
#: of the table of ranks: the share of the area where so many members lie below the truth
RANK_COLUMNS = ["variable", "level", "region", "rank", "share", "cycles"]
#: values of all members that are compared with each other at once
BATCH_VALUES = 4_000_000


@dataclass
class EnsembleScores:
    """Sums over cycles.

    The CRPS is the fair one, whose expectation does not depend on the number of members (Ferro 2014, QJRMS 140,
    1917-1923). Spread is the root mean variance, with K - 1 in its denominator, error the root mean square of the
    ensemble mean's; their ratio is corrected for the number of members by sqrt((K + 1) / K) (Fortin et al. 2014, J.
    Hydrometeor. 15, 1708-1713) and is 1 where members and truth are alike. Ranks are of the channels of `HEADLINE`.

    Attributes
    ----------
    grid : Grid
        Of members and truths.
    """

    grid: Grid
    _sums: dict[str, np.ndarray] = field(default_factory=dict)
    _members: int = 0
    _cycles: int = 0

    def add(self, members: np.ndarray, truth: np.ndarray) -> None:
        """Add a cycle, of members (K, 69, lat, lon) and their truth, in the units of the state.

        Raises
        ------
        ValueError
            If the number of members changes, or is below two.
        """
        if len(members) < 2 or self._members not in (0, len(members)):
            raise ValueError(f"expected {self._members or 'at least 2'} members in every cycle, got {len(members)}")
        self._members = len(members)
        self._cycles += 1
        ensemble = self._array(members, ("member", "channel", "latitude", "longitude"), list(NAMES))
        observed = self._array(truth, ("channel", "latitude", "longitude"), list(NAMES))
        found = {
            "crps": _crps(ensemble, observed),
            "variance": ensemble.var("member", ddof=1),
            "square": (ensemble.mean("member") - observed) ** 2,
        }
        for name, values in found.items():
            means = region_means(torch.from_numpy(values.values), self.grid, REGIONS)
            self._accumulate(name, means.numpy())
        self._accumulate("ranks", self._ranks(ensemble, observed))

    def _array(self, values: np.ndarray, dimensions: tuple[str, ...], channels: list[str]) -> xr.DataArray:
        places = {"latitude": self.grid.latitude, "longitude": self.grid.longitude, "channel": channels}
        return xr.DataArray(values.astype(np.float64), places, dimensions)

    def _area(self) -> xr.DataArray:
        return xr.DataArray(self.grid.area_weights, {"latitude": self.grid.latitude}, ("latitude",))

    def _ranks(self, ensemble: xr.DataArray, observed: xr.DataArray) -> np.ndarray:
        """Share of the area by rank, (regions, channels of `HEADLINE`, K + 1)."""
        from scores.probability import rank_histogram

        chosen = {"channel": [channel_index(name) for name in HEADLINE]}
        shares = []
        for south, north in REGIONS.values():
            inside = (self.grid.latitude >= south) & (self.grid.latitude <= north)
            pair = [values.isel(chosen).isel(latitude=inside) for values in (ensemble, observed)]
            found = rank_histogram(*pair, "member", preserve_dims=["channel"], weights=self._area()[inside])
            shares.append(found.transpose("channel", "rank").values)
        return np.stack(shares)

    def _accumulate(self, name: str, values: np.ndarray) -> None:
        self._sums[name] = self._sums.get(name, 0.0) + values

    def table(self) -> pd.DataFrame:
        """A table with `COLUMNS`; empty before a cycle is added."""
        if not self._cycles:
            return pd.DataFrame(columns=COLUMNS)
        means = {name: values / self._cycles for name, values in self._sums.items() if name != "ranks"}
        factor = (self._members + 1) / self._members
        columns = {
            "crps": means["crps"],
            "spread": means["variance"] ** 0.5,
            "error": means["square"] ** 0.5,
            "spread_over_error": (factor * means["variance"] / means["square"]) ** 0.5,
        }
        return by_region_and_channel(columns).assign(members=self._members, cycles=self._cycles)[COLUMNS]

    def ranks(self) -> pd.DataFrame:
        """A table with `RANK_COLUMNS`; empty before a cycle is added."""
        rows = []
        for region, by_channel in zip(REGIONS, self._sums.get("ranks", []), strict=False):
            for name, shares in zip(HEADLINE, by_channel, strict=True):
                channel = CHANNELS[channel_index(name)]
                rows += [
                    [channel.variable, channel.level, region, rank, share / self._cycles, self._cycles]
                    for rank, share in enumerate(shares)
                ]
        return pd.DataFrame(rows, columns=RANK_COLUMNS).astype({"level": "Int64"})


def _crps(ensemble: xr.DataArray, observed: xr.DataArray) -> xr.DataArray:
    """Fair CRPS at every point, (69, lat, lon), some channels at a time: every member is compared with every other."""
    from scores.probability import crps_for_ensemble

    points = observed.sizes["latitude"] * observed.sizes["longitude"]
    batch = max(1, BATCH_VALUES // (points * ensemble.sizes["member"] ** 2))
    parts = [slice(first, first + batch) for first in range(0, observed.sizes["channel"], batch)]
    return xr.concat(
        [
            crps_for_ensemble(
                ensemble.isel(channel=part), observed.isel(channel=part), "member", method="fair", preserve_dims="all"
            )
            for part in parts
        ],
        "channel",
    )
