"""Any program exported from PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...settings import setting
from ..declaration import GRID, SHA256, ModelDeclaration, WeightsSettings

if TYPE_CHECKING:
    from ..model import ForecastModel


@dataclass(frozen=True, kw_only=True)
class ExportedSettings(WeightsSettings):
    """Settings of `exported`: its file holds a program, which must be known before it runs."""

    sha256: str = setting("what the file must hash to, checked before it is read", schema={"type": "string", **SHA256})
    grid: dict = setting("of its states", schema=GRID)
    step_hours: int = setting("length of a step", minimum=1)


class ExportedDeclaration(ModelDeclaration):
    """See `forecast.exported`."""

    name = "exported"
    about = (
        "any TorchScript or `torch.export` program from (batch, 69, lat, lon) to the same; it is a program, so "
        "`sha256` is a must"
    )
    Settings = ExportedSettings

    @classmethod
    def load(cls, settings: ExportedSettings, device: str) -> ForecastModel:
        from ...fields.grid import Grid
        from ..exported import Exported

        return Exported.load(settings.weights, Grid.from_settings(settings.grid), settings.step_hours, device)
