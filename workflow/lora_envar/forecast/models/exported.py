"""Any program exported from PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...settings import setting
from ..declaration import GRID, SHA256, ModelDeclaration, WeightsSettings

if TYPE_CHECKING:
    import torch

    from ..model import ForecastModel


@dataclass(frozen=True, kw_only=True)
class ExportedSettings(WeightsSettings):
    """Settings of `exported`: its file is a program, which must be known before it runs."""

    sha256: str = setting("SHA-256 of the file, checked before the file is read", schema={"type": "string", **SHA256})
    grid: dict[str, Any] = setting("grid of its states", schema=GRID)
    step_hours: int = setting("length of a step in hours", minimum=1)


class ExportedDeclaration(ModelDeclaration):
    """See `forecast.exported`."""

    name = "exported"
    about = (
        "any TorchScript or `torch.export` program from (batch, 69, lat, lon) to the same shape; since it is a "
        "program, `sha256` is required"
    )
    Settings = ExportedSettings

    @classmethod
    def load(cls, settings: ExportedSettings, device: torch.device | str) -> ForecastModel:
        """Load the model from the file of a program."""
        from ...fields.grid import Grid
        from ..exported import Exported

        return Exported.load(settings.weights, Grid.from_settings(settings.grid), settings.step_hours, device)
