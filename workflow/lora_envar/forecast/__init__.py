"""Forecast models by their names in the configuration, and forecasts with any of them.

Snakemake imports this at every start, so torch is imported only where something is computed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..registry import Registry
from ..settings import files_of, names_of, needed_of, settings_from
from .declaration import ModelDeclaration, WeightsSettings
from .stepping import forecast, forecasts, frames

if TYPE_CHECKING:
    import torch

    from .model import ForecastModel

__all__ = ["MODELS", "check_model", "forecast", "forecasts", "frames", "load_model", "model_files", "named_files"]

MODELS = Registry("models", ModelDeclaration)


def check_model(name: str, **settings: Any) -> None:
    """Refuse settings that a forecast model does not have, and settings that it needs but does not get.

    Parameters
    ----------
    name : str
    settings
        The other keys of the section of the configuration.

    Raises
    ------
    ValueError
        The message names the model and the settings.
    """
    if name not in MODELS:
        raise ValueError(f"the forecast model {name!r} is unknown; known: {', '.join(MODELS)}")
    known = names_of(MODELS[name].Settings)
    unknown = [key for key in settings if key not in known]
    missing = [key for key in needed_of(MODELS[name].Settings) if settings.get(key) is None]
    if unknown:
        raise ValueError(f"the forecast model {name} has no setting {', '.join(unknown)}; it has {', '.join(known)}")
    if missing:
        raise ValueError(f"the forecast model {name} needs the setting {', '.join(missing)}; add it")


def named_files(section: dict[str, Any]) -> dict[str, str]:
    """The files that a model's section of the configuration names, by their keys, the weights first.

    They are files that a user brings; a model that is trained has none.
    """
    if section.get("name") not in MODELS or "train" in section:
        return {}
    return {key: section[key] for key in files_of(MODELS[section["name"]].Settings) if section.get(key)}


def model_files(section: dict[str, Any]) -> list[str]:
    """The paths of `named_files`."""
    return list(named_files(section).values())


def load_model(name: str, weights: str, device: torch.device | str = "cpu", **settings: Any) -> ForecastModel:
    """The forecast model that the configuration names.

    Parameters
    ----------
    name : str
        A key of `MODELS`.
    weights : path
    device : str or torch.device
    settings
        What else the model needs, see its declaration; ``sha256`` is checked before anything is read.

    Raises
    ------
    ValueError
        If the settings do not fit the model, or the file is not the expected one.
    """
    given = {key: value for key, value in settings.items() if value is not None}
    check_model(name, weights=weights, **given)
    chosen: WeightsSettings = settings_from(MODELS[name].Settings, {"weights": weights, **given})
    if chosen.sha256 is not None:
        chosen.check_hash()
    return MODELS[name].load(chosen, device)
