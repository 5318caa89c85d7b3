"""What an ensemble knows about the background error: its spread, and how much of the error its members span.

A few members span a few of the state's many directions. A background error model that follows the day can be better
than one that does not only as far as the members of the day span more of the day's error than those of other days do.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeVar

import pandas as pd
import torch

from ..fields.grid import Grid

Read = TypeVar("Read", bound=Callable[..., Any])

#: of the table of `diagnose`
COLUMNS = ["experiment", "valid_time", "members", "spread_over_error", "share", "share_of_other_days"]


def spanned_share(error: torch.Tensor, members: torch.Tensor, grid: Grid) -> float:
    """The share of an error's mean square that the best combination of an ensemble's perturbations removes.

    Parameters
    ----------
    error : (channels, lat, lon)
        Of channels of comparable size, as of `diagnose`.
    members : (K, channels, lat, lon)
        In the same units; their K - 1 perturbations about the mean that are independent are used.
    """
    weights = torch.as_tensor(grid.area_weights, dtype=torch.float64)[:, None].sqrt()
    perturbations = (weights * (members - members.mean(0))[:-1]).flatten(1)
    target = (weights * error).flatten()
    basis = torch.linalg.qr(perturbations.T).Q
    return ((basis.T @ target).square().sum() / target.square().sum()).item()


def spread_over_error(members: torch.Tensor, truth: torch.Tensor, grid: Grid) -> float:
    """Spread of an ensemble over the error of its mean, over all channels; 1 where members and truth are alike.

    sqrt((K + 1) / K) times the root mean variance, with K - 1 in its denominator, over the RMSE of the mean (Fortin et
    al. 2014).

    Parameters
    ----------
    members : (K, channels, lat, lon)
    truth : (channels, lat, lon)
    """
    count = len(members)
    variance = grid.mean(members.var(0)).mean()
    return (((count + 1) / count * variance) / grid.mean((members.mean(0) - truth) ** 2).mean()).sqrt().item()


#: most points of ensembles that are kept in memory: of eight members of 69 channels, half a gigabyte
KEPT_POINTS = 200_000


def read_once(times: int, grid: Grid) -> Callable[[Read], Read]:
    """Keep the ensembles that a function reads, as each is wanted twice; where they are large they are read again.

    Parameters
    ----------
    times : int
        How many ensembles there are.
    grid : Grid
        Theirs.
    """
    return lru_cache(times if times * grid.nlat * grid.nlon <= KEPT_POINTS else 1)  # type: ignore[return-value]


def diagnose(
    experiment: str,
    cycles: Iterable[tuple[datetime, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]],
    deviation: torch.Tensor,
    grid: Grid,
) -> pd.DataFrame:
    """Diagnose an ensemble, with one row per cycle and `COLUMNS`.

    Parameters
    ----------
    cycles : iterable of (valid time, background, truth, members, members of another day)
        (69, lat, lon) and (K, 69, lat, lon), on the error grid, in the units of the state.
    deviation : (69,)
        Standard deviation of the climatological errors, by which channels are divided.
    """
    scale = deviation.double().view(-1, 1, 1)
    rows = []
    for time, background, truth, members, others in cycles:
        own = members.double() / scale
        reference = truth.double() / scale
        error = background.double() / scale - reference
        rows.append(
            [
                experiment,
                f"{time:%Y-%m-%dT%H}",
                len(own),
                spread_over_error(own, reference, grid),
                spanned_share(error, own, grid),
                spanned_share(error, others.double() / scale, grid),
            ]
        )
    return pd.DataFrame(rows, columns=COLUMNS)
