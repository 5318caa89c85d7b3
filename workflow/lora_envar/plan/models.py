"""The forecast models of a configuration: files that a user brings, or that are trained on the archive."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from ..fields.timeline import parse
from ..forecast import model_files
from .archive import TRAINING, ArchivePlan

#: where trained models are
FOLDER = "results/forecast_models"


class ModelFiles(NamedTuple):
    """Files of a forecast model.

    Attributes
    ----------
    brought : list of str
        By a user.
    made : list of str
        By a rule.
    """

    brought: list[str]
    made: list[str]

    @classmethod
    def of(cls, section: dict[str, Any] | None) -> "ModelFiles":
        """Those of a section of the configuration; none of None."""
        if section is None:
            return cls([], [])
        if "train" in section:
            return cls([], [section["weights"]])
        return cls(model_files(section), [])


class Place(NamedTuple):
    """A section of the configuration that names a forecast model.

    Attributes
    ----------
    name : str
        Of its file, where it is trained.
    key : str
        In the configuration.
    section : dict
    training : bool
        Whether its states are those of the training archive.
    """

    name: str
    key: str
    section: dict[str, Any]
    training: bool = False


def places(config: dict[str, Any]) -> Iterator[Place]:
    """All sections that name forecast models which run."""
    yield Place("forecast_model", "forecast_model", config["forecast_model"])
    if "training" in config:
        yield Place("training_model", "training.forecast_model", config["training"]["forecast_model"], True)
    for name, window in config.get("windows", {}).items():
        yield Place(f"window_{name}", f"windows.{name}.model", window["model"])


def with_trained_models(config: dict[str, Any]) -> None:
    """Say where the weights of models will be that are trained, in place."""
    for place in places(config):
        if "train" in place.section:
            place.section["weights"] = f"{FOLDER}/{place.name}.safetensors"


class TrainedModels:
    """The models that are trained on an archive, by the name of their file.

    Parameters
    ----------
    config : dict
        The configuration, checked.
    archive : ArchivePlan
    """

    def __init__(self, config: dict[str, Any], archive: ArchivePlan) -> None:
        self._places = {place.name: place for place in places(config) if "train" in place.section}
        self._archive = archive

    @property
    def names(self) -> list[str]:
        """Of all of them."""
        return list(self._places)

    def settings(self, name: str) -> dict[str, Any]:
        """How one is trained: its section `train`."""
        return self._places[name].section["train"]

    def grid(self, name: str) -> dict[str, Any]:
        """The section of its grid."""
        return self._archive.grid(TRAINING if self._places[name].training else "")

    def files(self, name: str) -> list[str]:
        """Files of the states that it is trained and validated on."""
        settings = self.settings(name)
        files = self._files(name, *_period(settings))
        files += self._files(name, *_period(settings["validation"]))
        return list(dict.fromkeys(files))

    def _files(self, name: str, first: datetime, last: datetime) -> list[str]:
        find = self._archive.training_files if self._places[name].training else self._archive.files
        return find(first, last)

    def all_files(self) -> list[str]:
        """Files of the archive that all of them are trained on."""
        return [path for name in self.names for path in self.files(name)]

    def curves(self) -> dict[str, str]:
        """Tables of their learning curves."""
        return {name: f"{FOLDER}/{name}.csv" for name in self.names}


def _period(section: dict[str, Any]) -> tuple[datetime, datetime]:
    return parse(section["start"]), parse(section["end"])
