"""The NMC method: errors of the background sampled as differences of forecasts valid at the same time.

For a reanalysis state x_0 and the one tau later: M(tau -> 2 tau) M(0 -> tau) x_0 - M(tau -> 2 tau) x_tau, with tau =
24 h: a 48 h forecast minus a 24 h forecast.
"""

from collections.abc import Callable

import torch


def nmc_differences(
    forecast: Callable[[list[int], int], list[torch.Tensor]],
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
        Gives the forecasts at equal steps, each (batch, 69, lat, lon), from the reanalysis at some hours of the archive
        up to a lead in hours.
    hours : list of int
        Start times of the longer forecasts. A forecast that two differences need is made once.
    to_error_grid : function
        Regrids forecasts; only what it returns is kept.
    """
    wanted = set(hours)
    later = sorted({hour + tau for hour in hours} - wanted)  # these start forecasts of tau alone
    parts = [
        (lead, starts[first : first + batch])
        for lead, starts in ((2 * tau, sorted(wanted)), (tau, later))
        for first in range(0, len(starts), batch)
    ]
    short, long = {}, {}
    for number, (lead, part) in enumerate(parts, 1):
        trajectory = forecast(part, lead)
        half, full = (to_error_grid(trajectory[len(trajectory) * tau // lead - 1]), to_error_grid(trajectory[-1]))
        for index, hour in enumerate(part):
            if hour - tau in wanted:
                short[hour] = half[index].clone()
            if hour in wanted:
                long[hour] = full[index].clone()
        progress(f"batch {number}/{len(parts)} of forecasts")
    return torch.stack([long[hour] - short[hour + tau] for hour in hours])
