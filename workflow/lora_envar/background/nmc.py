"""The NMC method: errors of the background sampled as differences of forecasts valid at the same time.

For a reanalysis state x_0 and the one tau later: M(tau -> 2 tau) M(0 -> tau) x_0 - M(tau -> 2 tau) x_tau, with tau =
24 h: a 48 h forecast minus a 24 h forecast.
"""

from collections.abc import Callable

import torch


def nmc_differences(
    forecast: Callable[[torch.Tensor, int, list[int]], list[torch.Tensor]],
    state: Callable[[int], torch.Tensor],
    hours: list[int],
    tau: int,
    to_error_grid: Callable[[torch.Tensor], torch.Tensor] = lambda states: states,
    batch: int = 8,
    progress=print,
) -> torch.Tensor:
    """Differences of forecasts of 2 tau and tau, (start times, 69, lat, lon), on the error grid, in units of the state.

    Parameters
    ----------
    forecast : function
        Gives the forecasts at equal steps up to a lead in hours, of states of shape (batch, 69, lat, lon) and hours.
    state : function
        Gives the reanalysis state, (69, lat, lon), at an hour of the archive.
    hours : list of int
        Start times of the longer forecasts. A forecast that two differences need is made once.
    to_error_grid : function
        Regrids forecasts; only what it returns is kept.
    """
    starts = sorted({*hours, *(hour + tau for hour in hours)})
    short, long = {}, {}
    wanted = set(hours)
    for first in range(0, len(starts), batch):
        part = starts[first : first + batch]
        trajectory = forecast(torch.stack([state(hour) for hour in part]), 2 * tau, part)
        half, full = (to_error_grid(trajectory[i]) for i in (len(trajectory) // 2 - 1, -1))
        for index, hour in enumerate(part):
            if hour - tau in wanted:
                short[hour] = half[index].clone()
            if hour in wanted:
                long[hour] = full[index].clone()
        progress(f"forecasts {first + len(part)}/{len(starts)}")
    return torch.stack([long[hour] - short[hour + tau] for hour in hours])
