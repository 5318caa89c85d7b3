"""The NMC method: background errors sampled as differences of forecasts that are valid at the same time.

For a reanalysis state x_0 and the one tau later: M(tau -> 2 tau) M(0 -> tau) x_0 - M(tau -> 2 tau) x_tau, with tau =
24 h: a 48 h forecast minus a 24 h forecast.
"""

from collections.abc import Callable, Iterable

import torch


def nmc_differences(
    forecasts: Callable[[list[int], list[int]], Iterable[torch.Tensor]],
    hours: list[int],
    tau: int,
    to_error_grid: Callable[[torch.Tensor], torch.Tensor] = lambda states: states,
    batch: int = 8,
    progress: Callable[[str], None] = print,
) -> torch.Tensor:
    """Differences of forecasts of 2 tau and tau, (start times, 69, lat, lon), on the error grid, in units of the state.

    Parameters
    ----------
    forecasts : function
        Gives the forecasts, each (batch, 69, lat, lon), from the reanalysis at some hours of the archive at some leads
        in hours.
    hours : list of int
        Start times of the longer forecasts. A forecast that two differences need is made only once.
    tau : int
        In hours.
    to_error_grid : function
        Regrids forecasts; only its result is kept.
    batch : int
        The largest number of forecasts at once.
    progress : callable
        Receives one line of text per batch.
    """
    wanted = set(hours)
    later = sorted({hour + tau for hour in hours} - wanted)  # these start forecasts of tau alone
    parts = [
        (leads, starts[first : first + batch])
        for leads, starts in (([tau, 2 * tau], sorted(wanted)), ([tau], later))
        for first in range(0, len(starts), batch)
    ]
    short: dict[int, torch.Tensor] = {}
    long: dict[int, torch.Tensor] = {}
    for number, (leads, part) in enumerate(parts, 1):
        for lead, states in zip(leads, forecasts(part, leads), strict=True):
            kept = to_error_grid(states)
            for index, hour in enumerate(part):
                if lead == tau and hour - tau in wanted:
                    short[hour] = kept[index].clone()
                if lead == 2 * tau:
                    long[hour] = kept[index].clone()
        progress(f"forecasts: batch {number} of {len(parts)}")
    return torch.stack([long[hour] - short[hour + tau] for hour in hours])
