"""NeuralGCM in PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...settings import setting
from ..declaration import ModelDeclaration, WeightsSettings

if TYPE_CHECKING:
    import torch

    from ..model import ForecastModel


@dataclass(frozen=True, kw_only=True)
class NeuralGCMSettings(WeightsSettings):
    """Settings of `neuralgcm`."""

    boundary: str | None = setting(
        "netCDF file with the forcing variables", default=None, schema={"type": "string"}, file=True
    )
    step_hours: int = setting("length of a step in hours (6)", default=6, minimum=1)


class NeuralGCMDeclaration(ModelDeclaration):
    """See `forecast.neuralgcm`."""

    name = "neuralgcm"
    about = "NeuralGCM in PyTorch, differentiable (`pip install -e '.[neuralgcm]'`)"
    Settings = NeuralGCMSettings

    @classmethod
    def step_hours(cls, section: dict[str, Any]) -> int | None:
        """The setting, or else 6."""
        return section.get("step_hours", 6)

    @classmethod
    def load(cls, settings: NeuralGCMSettings, device: torch.device | str) -> ForecastModel:
        """Load the model from a converted checkpoint."""
        from ..neuralgcm import NeuralGCM

        return NeuralGCM.load(settings.weights, settings.boundary, settings.step_hours, device)
