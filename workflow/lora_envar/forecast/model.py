"""The interface of all forecast models: they advance states by a fixed step."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, TypeAlias

if TYPE_CHECKING:
    import torch

    from ..fields.grid import Grid

#: when each of some states is valid, where that is asked for
Times: TypeAlias = Sequence[datetime] | None


class ForecastModel:
    """A model that advances states by a fixed step.

    Attributes
    ----------
    grid : Grid
        Of its states.
    step_hours : int
        Length of a step.
    differentiable : bool
        Whether gradients flow through `step`.
    history : int
        How many consecutive states a step starts from: 1, or 2; `step` then receives the earlier one as `previous`.
    timed : bool
        Whether a step depends on the date; if so, `step` receives the times of the states as `valid`.
    """

    grid: Grid
    step_hours: int
    differentiable: ClassVar[bool] = False
    history: ClassVar[int] = 1
    timed: ClassVar[bool] = False

    @abstractmethod
    def step(self, states: torch.Tensor, previous: torch.Tensor | None = None, valid: Times = None) -> torch.Tensor:
        """Advance states of shape (batch, 69, lat, lon), in the units of the state, by one step."""
