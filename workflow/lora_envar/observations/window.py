"""Observations within a window: H at every slot after a differentiable forecast from its start (4D-Var).

    G(x) = [H_0 x, H_1 M x, H_2 M M x, ...]

The analysis is that of the window's start. The forecast model is not perfect: what it does to a state in k slots has an
error of its own, Q_k, which is added to R of the observations there. Q_k is diagonal, with the mean square error per
channel of forecasts of that lead.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.utils.checkpoint import checkpoint

from ..fields.grid import Grid
from ..fields.state import NAMES
from ..fields.timeline import from_hours
from ..files.tables import read_table
from ..forecast.model import ForecastModel
from ..forecast.stepping import advance
from .operator import ObservationOperator
from .table import Observations

#: keeps a step's states, and computes the rest again for the gradient
_CHECKPOINTED = partial(checkpoint, use_reentrant=False)


@dataclass(frozen=True)
class Window:
    """The times of an analysis's observations, and the model that leads to them.

    Attributes
    ----------
    start : int
        Hours since 1970, the analysis time.
    slots, slot_hours : int
        Observations are used at `start`, `start + slot_hours`, ...; there are `slots` of these times.
    model : ForecastModel
        Must be differentiable; a slot is a whole number of its steps.
    forecast_error : (slots, 69)
        Standard deviation per channel of the model's error at each slot; zero at the first.
    checkpoint : bool
        Keep one state per step and compute the rest again for the gradient, instead of keeping all activations.

    Raises
    ------
    ValueError
        If the model cannot be differentiated, or its step does not divide a slot.
    """

    start: int
    slots: int
    slot_hours: int
    model: ForecastModel
    forecast_error: torch.Tensor
    checkpoint: bool = True

    def __post_init__(self) -> None:
        if not self.model.differentiable:
            raise ValueError(
                "the forecast model of a window must be differentiable; name another one (windows.*.model)"
            )
        if self.slot_hours % self.model.step_hours:
            raise ValueError(
                f"windows.*.slot_hours: {self.slot_hours} h is not a multiple of the model's step of "
                f"{self.model.step_hours} h"
            )

    @property
    def hours(self) -> list[int]:
        """Times of the slots, in hours since 1970."""
        return [self.start + slot * self.slot_hours for slot in range(self.slots)]


class WindowOperator:
    """G for the rows of a table, all at times of the window's slots, and inside the levels of the state.

    Parameters
    ----------
    table : Observations
    grid : Grid
        Of the states.
    window : Window
    """

    def __init__(
        self,
        table: Observations,
        grid: Grid,
        window: Window,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
    ) -> None:
        rows = [np.flatnonzero(table.time == hour) for hour in window.hours]
        if sum(map(len, rows)) != len(table):
            raise ValueError("the window was given observations at times that are not among its slots")
        self.window = window
        self._operators = [ObservationOperator(table.select(part), grid, dtype, device) for part in rows]
        self._order = torch.as_tensor(np.argsort(np.concatenate(rows)), device=device)

    @property
    def linear(self) -> bool:
        """Whether all rows are linear in the state of their slot."""
        return all(operator.linear for operator in self._operators)

    def _advance(self, state: torch.Tensor, hour: int) -> torch.Tensor:
        """Advance states from a slot, at an hour since 1970, to the next."""
        batch = state.unsqueeze(0)
        model = self.window.model
        for elapsed in range(0, self.window.slot_hours, model.step_hours):
            call = _CHECKPOINTED if self.window.checkpoint and batch.requires_grad else None
            batch = advance(model, batch, None, [from_hours(hour + elapsed)], call)
        return batch[0]

    def __call__(self, state: torch.Tensor) -> torch.Tensor:
        """Equivalents, shape (rows,), of a state at the window's start, shape (69, lat, lon)."""
        parts = [operator(at_slot) for operator, at_slot in zip(self._operators, self._states(state), strict=True)]
        return torch.cat(parts)[self._order]

    def _states(self, state: torch.Tensor) -> Iterator[torch.Tensor]:
        """The state at every slot, from that at the window's start."""
        yield state
        for hour in self.window.hours[:-1]:
            state = self._advance(state, hour)
            yield state

    def deviation(self, state: torch.Tensor, deviations: torch.Tensor) -> torch.Tensor:
        """Standard deviation at each row where that of the states is given per channel, shape (rows,).

        See `ObservationOperator.deviation`. If all rows are linear, no forecast is made.

        Parameters
        ----------
        state : (69, lat, lon)
            At the window's start.
        deviations : (slots, 69)
        """
        states = repeat(state, len(self._operators)) if self.linear else self._states(state.detach())
        parts = [
            operator.deviation(at_slot, of_slot)
            for operator, at_slot, of_slot in zip(self._operators, states, deviations, strict=True)
        ]
        return torch.cat(parts)[self._order]

    def forecast_error(self, state: torch.Tensor) -> torch.Tensor:
        """Standard deviation of the model's error at each row, shape (rows,), after a state at the window's start."""
        return self.deviation(state, self.window.forecast_error)

    def outside(self, state: torch.Tensor) -> torch.Tensor:
        """Which rows are placed by a height that is not within the levels of their slot's state, (rows,) of bool."""
        states = repeat(state, len(self._operators)) if self.linear else self._states(state)
        parts = [operator.outside(at_slot) for operator, at_slot in zip(self._operators, states, strict=True)]
        return torch.cat(parts)[self._order]


def measure_forecast_error(
    forecast: Callable[[torch.Tensor, int, int], torch.Tensor],
    truth: Callable[[int], torch.Tensor],
    starts: Sequence[int],
    slots: int,
    slot_hours: int,
    grid: Grid,
) -> pd.DataFrame:
    """Root mean square errors of forecasts at the slots of a window.

    Parameters
    ----------
    forecast : function
        Of a state, (1, 69, lat, lon), a lead in hours, and the hour since 1970 at which the state is valid; gives the
        last state.
    truth : function
        Gives the state valid at a time, in hours since 1970, (69, lat, lon).
    starts : list of int

    Returns
    -------
    DataFrame
        lead_hours, channel, rmse in the units of the state.
    """
    squares = torch.zeros(slots, len(NAMES), dtype=torch.float64)
    for start in starts:
        state = truth(start)[None]
        for slot in range(1, slots):
            state = forecast(state, slot_hours, start + (slot - 1) * slot_hours)
            squares[slot] += grid.mean((state[0] - truth(start + slot * slot_hours)) ** 2).double().cpu()
    rmse = (squares / len(starts)).sqrt()
    return pd.DataFrame(
        {
            "lead_hours": np.repeat(np.arange(slots) * slot_hours, len(NAMES)),
            "channel": np.tile(NAMES, slots),
            "rmse": rmse.flatten().numpy(),
        }
    )


def read_forecast_error(path: str | Path, slots: int, slot_hours: int) -> torch.Tensor:
    """Standard deviations, (slots, 69), of a table written from `measure_forecast_error`.

    Raises
    ------
    ValueError
        If its slots are other ones.
    """
    table = read_table(path).pivot(index="lead_hours", columns="channel", values="rmse")
    wanted = [slot * slot_hours for slot in range(slots)]
    if list(table.index) != wanted or set(table) != set(NAMES):
        raise ValueError(
            f"{path} has model errors at {list(table.index)} h, but the slots of the window are at {wanted} h; make it "
            "again"
        )
    return torch.tensor(table[list(NAMES)].to_numpy(), dtype=torch.float32)
