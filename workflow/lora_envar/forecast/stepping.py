"""Steps of a forecast model, which may start from one frame or two, and may depend on the date."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import torch

    from .model import ForecastModel

_LOG = logging.getLogger(__name__)


def frames(
    model: ForecastModel,
    read: Callable[[datetime], np.ndarray | None],
    times: Sequence[datetime],
    device: torch.device | str = "cpu",
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The states from which forecasts start, and those one step before, for models of two frames.

    Parameters
    ----------
    read : function
        Returns the state valid at a time, (69, lat, lon); it may return None for an earlier frame that is missing.

    Returns
    -------
    states : (times, 69, lat, lon)
        On the device.
    previous : (times, 69, lat, lon) or None
        None if it is not needed, or missing.

    Raises
    ------
    ValueError
        If a state is missing.
    """
    states = states_at(read, times, device)
    if model.history == 1:
        return states, None
    return states, _stacked(read, [time - timedelta(hours=model.step_hours) for time in times], device)


def states_at(
    read: Callable[[datetime], np.ndarray | None], times: Sequence[datetime], device: torch.device | str = "cpu"
) -> torch.Tensor:
    """The states valid at some times, (times, 69, lat, lon), on the device.

    Raises
    ------
    ValueError
        If one is missing.
    """
    states = _stacked(read, times, device)
    if states is None:
        raise ValueError(
            f"there is no state that is valid at all of {', '.join(f'{time:%Y-%m-%dT%H}' for time in times)}"
        )
    return states


def _stacked(
    read: Callable[[datetime], np.ndarray | None], times: Sequence[datetime], device: torch.device | str
) -> torch.Tensor | None:
    import torch

    found = [read(time) for time in times]
    if any(state is None for state in found):
        return None
    return torch.stack([torch.as_tensor(state, device=device) for state in found])


def advance(
    model: ForecastModel,
    states: torch.Tensor,
    previous: torch.Tensor | None,
    valid: Sequence[datetime] | None,
    call: Callable[..., torch.Tensor] | None = None,
) -> torch.Tensor:
    """One step of any model.

    Parameters
    ----------
    states : (batch, 69, lat, lon)
    previous : (batch, 69, lat, lon) or None
        The states one step before; used only by models of two frames.
    valid : sequence of datetime or None
        When each of the states is valid; used only by models that depend on the date.
    call : function, optional
        Calls the step as `call(step, states, **options)`, as a checkpoint does.

    Raises
    ------
    ValueError
        If the model depends on the date, and times are missing.
    """
    options: dict[str, Any] = {}
    if model.history == 2:
        options["previous"] = previous
    if model.timed:
        if valid is None or len(valid) != len(states):
            raise ValueError(
                f"the forecast model depends on the date, so {len(states)} states need as many valid times"
            )
        options["valid"] = valid
    return model.step(states, **options) if call is None else call(model.step, states, **options)


def forecast(
    model: ForecastModel,
    states: torch.Tensor,
    lead_hours: int,
    previous: torch.Tensor | None = None,
    valid: Sequence[datetime] | None = None,
) -> torch.Tensor:
    """The forecast at one lead, of the shape of `states`; see `forecasts`."""
    (end,) = forecasts(model, states, [lead_hours], previous, valid)
    return end


def forecasts(
    model: ForecastModel,
    states: torch.Tensor,
    lead_hours: Sequence[int],
    previous: torch.Tensor | None = None,
    valid: Sequence[datetime] | None = None,
) -> Iterator[torch.Tensor]:
    """Forecasts at some leads, one after the other, each of the shape of `states`; no other is kept.

    Parameters
    ----------
    model : ForecastModel
    states : (batch, 69, lat, lon)
    lead_hours : sequence of int
        Above 0 and increasing.
    previous : (batch, 69, lat, lon), optional
        The states one step before, for models of two frames. Without them such a model starts from `states` twice,
        as if nothing had changed before, and a warning is logged.
    valid : sequence of datetime, optional
        When each of the states is valid; models that depend on the date need it.

    Raises
    ------
    ValueError
        If a lead is not a whole number of steps, or times are missing.
    FloatingPointError
        If a forecast has values that are not finite.
    """
    import torch

    for lead in lead_hours:
        if lead % model.step_hours:
            raise ValueError(f"a lead time of {lead} h is not a multiple of the model's step of {model.step_hours} h")
    if model.history == 2 and previous is None:
        _LOG.warning(
            "the forecast model needs two frames, but the earlier one is unknown; the present one is used for both"
        )
        previous = states
    passed = 0
    for lead in lead_hours:
        while passed < lead:
            now = None if valid is None else [time + timedelta(hours=passed) for time in valid]
            with torch.no_grad():
                following = advance(model, states, previous, now)
            passed += model.step_hours
            if not following.isfinite().all():
                raise FloatingPointError(f"the forecast is not finite after {passed} h")
            previous = states
            states = following
        yield states


def forecast_members(
    model: ForecastModel,
    states: torch.Tensor,
    lead_hours: int,
    previous: torch.Tensor | None,
    valid: datetime,
    device: torch.device | str = "cpu",
    batch: int = 8,
) -> torch.Tensor:
    """The forecasts of all members of an ensemble at one lead, (members, 69, lat, lon), on the processor's memory.

    Parameters
    ----------
    states : (members, 69, lat, lon)
        All valid at one time.
    previous : (members, 69, lat, lon), optional
        The states one step before, see `forecast`.
    valid : datetime
        Of the states.
    device : str or torch.device
        Where the model is.
    batch : int
        The largest number of members at once.

    Raises
    ------
    ValueError, FloatingPointError
        As in `forecast`.
    """
    import torch

    ends = []
    for first in range(0, len(states), batch):
        some = slice(first, first + batch)
        before = None if previous is None else previous[some].to(device)
        present = states[some].to(device)
        ends.append(forecast(model, present, lead_hours, before, [valid] * len(present)).cpu())
    return torch.cat(ends)
