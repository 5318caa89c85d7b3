"""A forecast model with a share of its own error added, sampled where the truth is known.

With M the forecast from one state of an archive to the next, h later, and e_i the errors M(x_t) - x_(t+h) of n such
forecasts, less their mean, a trajectory is

    x(t + h) = M(x(t)) + s sum_i c_i e_i,    c_i ~ N(0, 1 / n), independent of each other and of other times.

What is added has the covariance s^2 / n sum_i e_i e_i^T, s^2 times that of the sampled errors. Of such a truth M makes
forecasts that err by s times what they err in reality: by nothing with s = 0; with s = 1 as in reality, but for the
mean of the error and its correlation in time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import torch

from ..fields.seeds import generator
from ..fields.timeline import name as time_name
from .stepping import forecast, frames, states_at

if TYPE_CHECKING:
    import numpy as np

    from .model import ForecastModel


def forecast_errors(
    model: ForecastModel,
    read: Callable[[datetime], np.ndarray | None],
    starts: Sequence[datetime],
    lead_hours: int,
    device: torch.device | str = "cpu",
    batch: int = 8,
    regrid: Callable[[torch.Tensor], torch.Tensor] = lambda states: states,
) -> torch.Tensor:
    """Errors of forecasts of `lead_hours`, (starts, 69, lat, lon), in units of the state.

    Parameters
    ----------
    model : ForecastModel
    read : function
        Returns the true state valid at a time, (69, lat, lon), or None if there is none.
    starts : sequence of datetime
    lead_hours : int
        A whole number of the model's steps.
    device : str or torch.device
    batch : int
        The largest number of forecasts at once.
    regrid : function
        Applied to the errors; only its result is kept.

    Raises
    ------
    ValueError
        If a state is missing, or the model does not make forecasts of this lead time.
    """
    lead = timedelta(hours=lead_hours)
    parts = []
    for first in range(0, len(starts), batch):
        part = starts[first : first + batch]
        states, previous = frames(model, read, part, device)
        truth = states_at(read, [time + lead for time in part], device)
        parts.append(regrid(forecast(model, states, lead_hours, previous, part) - truth))
    return torch.cat(parts)


def sampled_errors(
    model: ForecastModel,
    read: Callable[[datetime], np.ndarray | None],
    starts: Sequence[datetime],
    step_hours: int,
    device: torch.device | str = "cpu",
    batch: int = 8,
) -> torch.Tensor:
    """Errors of forecasts of `step_hours`, minus their mean."""
    errors = forecast_errors(model, read, starts, step_hours, device, batch)
    return errors - errors.mean(dim=0)


def perturbation(errors: torch.Tensor, share: float, seed: int, time: datetime) -> torch.Tensor:
    """What is added to the state of a time, (69, lat, lon); it depends on the seed and the time only.

    Parameters
    ----------
    errors : (samples, 69, lat, lon)
        Those of `sampled_errors`.
    share : float
        The s of the module.
    """
    count = len(errors)
    weights = torch.randn(count, generator=generator(seed, "twin", time_name(time))) / count**0.5
    return share * torch.tensordot(weights.to(errors.device), errors, dims=1)


def trajectory(
    model: ForecastModel,
    states: torch.Tensor,
    previous: torch.Tensor | None,
    start: datetime,
    step_hours: int,
    added: Callable[[datetime], torch.Tensor] | None,
) -> Iterator[tuple[datetime, torch.Tensor]]:
    """Yield the times and states, (1, 69, lat, lon), that follow a start, `step_hours` apart, without end.

    Parameters
    ----------
    model : ForecastModel
    states : (1, 69, lat, lon)
        Valid at the start.
    previous : (1, 69, lat, lon) or None
        Of one step of the model before, for models of two frames.
    start : datetime
    step_hours : int
        A whole number of the model's steps; of models of two frames, one.
    added : function or None
        Returns what is added to the state of a time, (69, lat, lon); None adds nothing.

    Raises
    ------
    ValueError
        If the model does not make such steps.
    FloatingPointError
        If the trajectory is no longer finite.
    """
    if model.history == 2 and model.step_hours != step_hours:
        raise ValueError(
            f"the forecast model starts from two frames {model.step_hours} h apart, and a trajectory with a state "
            f"every {step_hours} h does not have both"
        )
    time = start
    while True:
        try:
            following = forecast(model, states, step_hours, previous, [time])
        except FloatingPointError as error:
            raise FloatingPointError(
                f"the trajectory that starts at {start:%Y-%m-%dT%H} failed at {time:%Y-%m-%dT%H}: {error}"
            ) from None
        previous = states
        time += timedelta(hours=step_hours)
        states = following if added is None else following + added(time)
        yield time, states
