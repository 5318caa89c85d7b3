"""What a forecast model declares before its file is read: settings, files, frames, and how to load it.

A model is a class in a module of ``forecast/models/``; nothing else lists it. See docs/extending.md.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ..settings import setting

if TYPE_CHECKING:
    import torch

    from .model import ForecastModel

#: schemas of settings
GRID = {"$ref": "#/$defs/grid"}
SHA256 = {"pattern": "^[0-9a-fA-F]{64}$"}


@dataclass(frozen=True)
class WeightsSettings:
    """Settings of all models."""

    weights: str = setting("the file of the model", file=True)
    sha256: str | None = setting(
        "SHA-256 of the file, checked before the file is read",
        default=None,
        schema={"type": ["string", "null"], **SHA256},
    )

    def check_hash(self) -> None:
        """Refuse a file with another hash.

        Raises
        ------
        ValueError
            If the hash is another one, or the file is missing.
        """
        if self.sha256 is None:
            return
        if not Path(self.weights).is_file():
            raise ValueError(
                f"{self.weights} does not exist; it has the weights of the forecast model: provide it, or name another "
                "file"
            )
        with open(self.weights, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        expected = self.sha256.lower()
        if found != expected:
            raise ValueError(
                f"{self.weights} has SHA-256 {found}, expected {expected}; fetch it again, or correct sha256"
            )


class ModelDeclaration(ABC):
    """A forecast model that a configuration may name.

    Attributes
    ----------
    name : str
        Its name in the configuration.
    about : str
        A description for config/README.md, in Markdown.
    Settings : type
        Dataclass of its settings, see `lora_envar.settings`; derived from `WeightsSettings`.
    frame_hours : int
        Hours between the two frames that a step starts from; 0 for models that start from one frame.
    rules : dict
        JSON schema of its section, in addition to that of its settings.
    """

    name: ClassVar[str] = ""
    about: ClassVar[str] = ""
    Settings: ClassVar[type[WeightsSettings]] = WeightsSettings
    frame_hours: ClassVar[int] = 0
    rules: ClassVar[dict[str, Any]] = {}

    @classmethod
    def step_hours(cls, section: dict[str, Any]) -> int | None:
        """The step, in hours, of the model in a section of the configuration, if it is known without loading it."""
        return section.get("step_hours")

    @classmethod
    @abstractmethod
    def load(cls, settings: Any, device: torch.device | str) -> ForecastModel:
        """Load the model from settings that have been checked."""
