"""Forecast models behind one interface, and the registry that names them."""

from collections.abc import Callable
from typing import Protocol

import torch

from ..grid import Grid


class ForecastModel(Protocol):
    """A model that advances states by a fixed step.

    Attributes
    ----------
    grid : Grid
        The grid of its states.
    step_hours : int
        Length of a step.
    differentiable : bool
        Whether gradients flow through `step`.
    """

    grid: Grid
    step_hours: int
    differentiable: bool

    def step(self, states: torch.Tensor) -> torch.Tensor:
        """Advance states of shape (batch, 69, lat, lon), in the units of the state, by one step."""
        ...


def _emulator(path, device) -> ForecastModel:
    from .emulator import Emulator

    return Emulator.load(path, device)


#: name in the configuration -> function of (path of the weights, device)
MODELS: dict[str, Callable[..., ForecastModel]] = {"emulator": _emulator}


def load_model(name: str, path, device="cpu") -> ForecastModel:
    """The forecast model that the configuration names."""
    if name not in MODELS:
        raise ValueError(f"forecast model {name!r} is unknown; known: {', '.join(MODELS)}")
    return MODELS[name](path, device)


def forecast(model: ForecastModel, states: torch.Tensor, lead_hours: int) -> list[torch.Tensor]:
    """Forecasts at every step up to `lead_hours`, each of the shape of `states`.

    Raises
    ------
    FloatingPointError
        If a forecast holds values that are not finite.
    """
    if lead_hours % model.step_hours:
        raise ValueError(f"a lead of {lead_hours} h is not a multiple of the model's step of {model.step_hours} h")
    trajectory = []
    with torch.no_grad():
        for step in range(lead_hours // model.step_hours):
            states = model.step(states)
            if not states.isfinite().all():
                raise FloatingPointError(f"the forecast is not finite after {(step + 1) * model.step_hours} h")
            trajectory.append(states)
    return trajectory
