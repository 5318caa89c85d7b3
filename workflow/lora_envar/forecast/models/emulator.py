"""The example's emulator."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

from ..declaration import ModelDeclaration, WeightsSettings

if TYPE_CHECKING:
    from ..model import ForecastModel

_LARGEST_HEADER = 100_000_000  # bytes, the format's own limit


class EmulatorDeclaration(ModelDeclaration):
    """See `forecast.emulator`."""

    name = "emulator"
    about = "the example's network, differentiable"

    @classmethod
    def step_hours(cls, section: dict[str, Any]) -> int | None:
        try:
            with open(section["weights"], "rb") as file:
                length = struct.unpack("<Q", file.read(8))[0]
                header = json.loads(file.read(length)) if length < _LARGEST_HEADER else {}
            return json.loads(header["__metadata__"]["settings"])["step_hours"]
        except (OSError, ValueError, KeyError, struct.error):
            return None  # missing or damaged weights are refused where they are read

    @classmethod
    def load(cls, settings: WeightsSettings, device: str) -> ForecastModel:
        from ..emulator import Emulator

        return Emulator.load(settings.weights, device)
