"""The workflow's own network, which ships with the example or is trained on an archive."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ...settings import setting
from ..declaration import ModelDeclaration, WeightsSettings

if TYPE_CHECKING:
    import torch

    from ..model import ForecastModel

_LARGEST_HEADER = 100_000_000  # bytes, the format's own limit


@dataclass(frozen=True)
class EmulatorSettings(WeightsSettings):
    """Existing weights, or how to train them."""

    weights: str = setting("the file of the model", default="", file=True)
    train: dict[str, Any] | None = setting(
        "instead of `weights`: how the model is trained on the archive, see below",
        default=None,
        schema={"$ref": "#/$defs/forecast_training"},
    )


class EmulatorDeclaration(ModelDeclaration):
    """See `forecast.emulator`."""

    name = "emulator"
    about = "the workflow's own network, differentiable: that of the example, or one trained on any archive"
    Settings = EmulatorSettings
    rules: ClassVar[dict[str, Any]] = {
        "description": "a model with either `weights`, its file, or `train`, how it is trained",
        "oneOf": [{"required": ["weights"]}, {"required": ["train"]}],
    }

    @classmethod
    def step_hours(cls, section: dict[str, Any]) -> int | None:
        """From its training or its weights; None if these cannot be read."""
        if "train" in section:
            return section["train"]["step_hours"]
        try:
            with open(section["weights"], "rb") as file:
                length = struct.unpack("<Q", file.read(8))[0]
                header = json.loads(file.read(length)) if length < _LARGEST_HEADER else {}
            return json.loads(header["__metadata__"]["settings"])["step_hours"]
        except (OSError, ValueError, KeyError, struct.error):
            return None  # missing or damaged weights are refused where they are read

    @classmethod
    def load(cls, settings: EmulatorSettings, device: torch.device | str) -> ForecastModel:
        """Load the model from a file of weights."""
        from ..emulator import Emulator

        return Emulator.load(settings.weights, device)
