"""The ensemble that a filter cycles: its first members, and what is added to its forecasts for model errors.

The forecast model's errors in the time between analyses are sampled on the training period,

    e_i = M(x_i) - x(i + 1),

with the reanalysis x (`forecast.perturbed.forecast_errors`). What is added to the forecast of member k is a random
combination of all N samples less their mean, of zero mean over the members (additive inflation, Whitaker and Hamill
2012, MWR 140, 3078-3089, sect. 2b):

    q_k = alpha / (N - 1)^(1/2) sum_i (g_ki - mean over k of g_ki) (e_i - mean of e),    g_ki ~ N(0, 1),

so that the expectation of its sample covariance over the members is alpha^2 times that of the errors.
"""

import math
from collections.abc import Callable

import torch

from ..fields.seeds import generator
from .training_set import TrainingSet


def first_members(
    background: torch.Tensor,
    samples: TrainingSet,
    count: int,
    seed: int,
    to_state_grid: Callable[[torch.Tensor], torch.Tensor] = lambda states: states,
) -> torch.Tensor:
    """The first ensemble, (count, 69, lat, lon): the background plus draws from forecast errors minus their mean.

    Parameters
    ----------
    background : (69, lat, lon)
    samples : TrainingSet
        Of forecast errors by the NMC method.
    count : int
        Members.
    seed : int
    to_state_grid : function
        From the grid of the samples.

    Raises
    ------
    ValueError
        If there are fewer samples than members.
    """
    if len(samples) < count:
        raise ValueError(
            f"{samples.path} has {len(samples)} forecast errors, but each of the {count} members starts from one of "
            "its own; make ensemble_size smaller, or the period of nmc longer"
        )
    errors = to_state_grid(samples.draw(count, seed, "first members").to(background))
    return background + errors - errors.mean(0)


def additive_errors(
    errors: TrainingSet,
    count: int,
    share: float,
    seed: int,
    *purpose: object,
    to_state_grid: Callable[[torch.Tensor], torch.Tensor] = lambda states: states,
) -> torch.Tensor:
    """What is added to the forecasts of the members, (count, 69, lat, lon), float32, with zero mean; see the module.

    Parameters
    ----------
    errors : TrainingSet
        Of the forecast model in the time between analyses.
    count : int
        Members.
    share : float
        alpha.
    seed : int
    purpose
        What the random numbers are for, such as the valid time.
    to_state_grid : function
        From the grid of the errors.

    Raises
    ------
    ValueError
        If there are fewer than two errors.
    """
    if len(errors) < 2:
        raise ValueError(
            f"{errors.path} has {len(errors)} forecast errors, but additive errors need at least 2; make the period of "
            "nmc longer"
        )
    numbers = torch.randn(
        count, len(errors), dtype=torch.float64, generator=generator(seed, "additive error", *purpose)
    )
    numbers = (numbers - numbers.mean(0)) * (share / math.sqrt(len(errors) - 1))
    total = torch.zeros(())
    done = 0
    for batch in errors.centred():
        part = numbers[:, done : done + len(batch)].float()
        total = total + torch.einsum("ki,ichw->kchw", part, batch.float())
        done += len(batch)
    total = to_state_grid(total)
    return total - total.mean(0)  # zero but for rounding
