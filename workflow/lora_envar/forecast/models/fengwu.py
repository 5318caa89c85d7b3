"""FengWu's public ONNX file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...settings import setting
from ..declaration import GRID, ModelDeclaration, WeightsSettings

if TYPE_CHECKING:
    import torch

    from ..model import ForecastModel


@dataclass(frozen=True, kw_only=True)
class FengWuSettings(WeightsSettings):
    """Settings of `fengwu`."""

    mean: str = setting("published means, `.npy`", file=True)
    deviation: str = setting("published standard deviations, `.npy`", file=True)
    grid: dict[str, Any] | None = setting(
        "grid of its states, if it does not follow from the sizes in the file", default=None, schema=GRID
    )


class FengWuDeclaration(ModelDeclaration):
    """See `forecast.fengwu`."""

    name = "fengwu"
    about = "FengWu's public ONNX file (two frames 6 h apart; `pip install -e '.[fengwu]'`)"
    Settings = FengWuSettings
    frame_hours = 6

    @classmethod
    def step_hours(cls, section: dict[str, Any]) -> int | None:
        """The step that it was trained with."""
        return 6

    @classmethod
    def load(cls, settings: FengWuSettings, device: torch.device | str) -> ForecastModel:
        """Load the model from an ONNX file and two files of statistics."""
        from ...fields.grid import Grid
        from ..fengwu import FengWu

        grid = None if settings.grid is None else Grid.from_settings(settings.grid)
        return FengWu.load(settings.weights, settings.mean, settings.deviation, grid, device)
