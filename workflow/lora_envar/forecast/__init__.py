"""Forecast models behind one interface, and the registry that names them.

Snakemake imports this module whenever it starts, and it starts twice in every job of a cluster: torch is imported where
something is computed.
"""

from __future__ import annotations

import hashlib
import inspect
import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch

    from ..fields.grid import Grid

_LOG = logging.getLogger(__name__)


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
    history : int
        How many consecutive states a step needs: 1, or 2, when `step` takes the one before as `previous`. A model
        that does not say needs one.
    timed : bool
        Whether a step depends on the date; then `step` takes the times of the states as `valid`. A model that does
        not say has no dates.
    """

    grid: Grid
    step_hours: int
    differentiable: bool

    def step(self, states: torch.Tensor) -> torch.Tensor:
        """Advance states of shape (batch, 69, lat, lon), in the units of the state, by one step."""
        ...


def _emulator(weights, device) -> ForecastModel:
    from .emulator import Emulator

    return Emulator.load(weights, device)


def _fengwu(weights, device, *, mean, deviation, grid=None) -> ForecastModel:
    from ..fields.grid import Grid
    from .fengwu import FengWu

    return FengWu.load(weights, mean, deviation, grid and Grid.from_settings(grid), device)


def _exported(weights, device, *, grid, step_hours) -> ForecastModel:
    from ..fields.grid import Grid
    from .exported import Exported

    return Exported.load(weights, Grid.from_settings(grid), step_hours, device)


def _neuralgcm(weights, device, *, boundary=None, step_hours=6) -> ForecastModel:
    from .neuralgcm import NeuralGCM

    return NeuralGCM.load(weights, boundary, step_hours, device)


#: name in the configuration -> function of (path of the weights, device) and of its settings, by keyword
MODELS: dict[str, Callable[..., ForecastModel]] = {
    "emulator": _emulator,
    "fengwu": _fengwu,
    "exported": _exported,
    "neuralgcm": _neuralgcm,
}
#: models whose files hold a program, which must be known before it runs
_PROGRAMS = ("exported",)
#: models that start from two frames, and hours between these
TWO_FRAMES = {"fengwu": 6}
#: settings that name files
_FILES = ("weights", "mean", "deviation", "boundary")


def check_model(name: str, **settings):
    """Refuse settings that a forecast model does not have or lacks.

    Parameters
    ----------
    name : str
    settings
        The other keys of the section of the configuration.

    Raises
    ------
    ValueError
        Naming the model and the settings.
    """
    if name not in MODELS:
        raise ValueError(f"forecast model {name!r} is unknown; known: {', '.join(MODELS)}")
    own = [p for p in inspect.signature(MODELS[name]).parameters.values() if p.kind is p.KEYWORD_ONLY]
    known = ["weights", "sha256", *(parameter.name for parameter in own)]
    needed = ["weights", *(p.name for p in own if p.default is p.empty), *(["sha256"] if name in _PROGRAMS else [])]
    unknown = [key for key in settings if key not in known]
    missing = [key for key in needed if settings.get(key) is None]
    if unknown:
        raise ValueError(f"forecast model {name}: has no setting {', '.join(unknown)}; it has {', '.join(known)}")
    if missing:
        raise ValueError(f"forecast model {name}: needs the setting {', '.join(missing)}")


def named_files(section: dict) -> dict[str, str]:
    """The files that a model's section of the configuration names, by their keys, that of the weights first."""
    return {key: section[key] for key in _FILES if section.get(key)}


def model_files(section: dict) -> list[str]:
    """The paths of `named_files`."""
    return list(named_files(section).values())


def load_model(name: str, weights, device="cpu", *, sha256: str | None = None, **settings) -> ForecastModel:
    """The forecast model that the configuration names.

    Parameters
    ----------
    name : str
        A key of `MODELS`.
    weights : path
    device : str or torch.device
    sha256 : str, optional
        What the file of the weights must hash to, 64 hexadecimal digits. It is checked before anything is read.
    settings
        What the model needs besides: ``mean`` and ``deviation`` (fengwu), ``grid`` and ``step_hours`` (exported),
        ``boundary`` and ``step_hours`` (neuralgcm).

    Raises
    ------
    ValueError
        If the settings do not fit the model, or the file is not the one wanted.
    """
    check_model(name, weights=weights, sha256=sha256, **settings)
    if sha256 is not None:
        _check_hash(weights, sha256)
    return MODELS[name](weights, device, **settings)


def _check_hash(path, expected: str):
    if not Path(path).is_file():
        raise ValueError(f"{path}: no such file (weights of the forecast model)")
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected.lower():
        raise ValueError(f"{path}: has SHA-256 {found}, expected {expected.lower()}; fetch it again, or correct sha256")


def forecast(
    model: ForecastModel,
    states: torch.Tensor,
    lead_hours: int,
    previous: torch.Tensor | None = None,
    valid: Sequence[datetime] | None = None,
) -> list[torch.Tensor]:
    """Forecasts at every step up to `lead_hours`, each of the shape of `states`.

    Parameters
    ----------
    model : ForecastModel
    states : (batch, 69, lat, lon)
    lead_hours : int
    previous : (batch, 69, lat, lon), optional
        The states one step before, for models of two frames. Without them such a model starts from `states` twice,
        as if nothing had changed before, and a warning is logged.
    valid : sequence of datetime, optional
        When each of the states is valid; models that depend on the date need it.

    Raises
    ------
    ValueError
        If the lead is not a whole number of steps, or times are missing.
    FloatingPointError
        If a forecast holds values that are not finite.
    """
    import torch

    if lead_hours % model.step_hours:
        raise ValueError(f"a lead of {lead_hours} h is not a multiple of the model's step of {model.step_hours} h")
    two_frames, timed = getattr(model, "history", 1) == 2, getattr(model, "timed", False)
    if two_frames and previous is None:
        _LOG.warning(
            "the forecast model needs two frames; the one before is not known, and the present one is repeated"
        )
        previous = states
    if timed and (valid is None or len(valid) != len(states)):
        raise ValueError(f"the forecast model depends on the date: {len(states)} states need as many valid times")
    trajectory = []
    with torch.no_grad():
        for step in range(lead_hours // model.step_hours):
            inputs = {"previous": previous} if two_frames else {}
            if timed:
                inputs["valid"] = [time + timedelta(hours=step * model.step_hours) for time in valid]
            previous, states = states, model.step(states, **inputs)
            if not states.isfinite().all():
                raise FloatingPointError(f"the forecast is not finite after {(step + 1) * model.step_hours} h")
            trajectory.append(states)
    return trajectory
