"""A study of several worlds: which runs it reads, and what their experiments have in common."""

from typing import Any

from ..files.provenance import group
from .completion import ConfigurationError
from .experiments import Experiment, Experiments


class StudyPlan:
    """The section `study`.

    Parameters
    ----------
    config : dict
        The configuration, checked, replicates expanded.
    experiments : Experiments
    """

    def __init__(self, config: dict[str, Any], experiments: Experiments) -> None:
        self._study = config["study"]
        self._networks = config["observations"]
        self._error_grid = config["error_grid"]
        self._experiments = experiments

    @property
    def worlds(self) -> list[str]:
        """Their names."""
        return list(self._study["worlds"])

    @property
    def scores(self) -> list[str]:
        """The scores of the run in each world."""
        return [f"{folder}/results/scores.csv" for folder in self._study["worlds"].values()]

    @property
    def references(self) -> list[str]:
        """Families that all others are compared with."""
        return self._study["references"]

    @property
    def members(self) -> dict[str, tuple[str, int]]:
        """Family and number of observed columns of every experiment, replicates under one name."""
        return {
            group(experiment.name): (family(experiment), self._networks[experiment.entry["observations"]]["columns"])
            for experiment in self._experiments.compared
        }

    @property
    def points(self) -> int:
        """Of the error grid."""
        return self._error_grid["latitudes"] * self._error_grid["longitudes"]


def family(experiment: Experiment) -> str:
    """What an experiment has in common with those of a list `observations`: its name without the network's."""
    return group(experiment.name).removesuffix(f"_{group(experiment.entry['observations'])}")


def check_study(config: dict[str, Any]) -> None:
    """Refuse a study of networks without columns, or of references that are no family.

    Raises
    ------
    ConfigurationError
    """
    if "study" not in config:
        return
    experiments = Experiments(config)
    for experiment in experiments.compared:
        network = experiment.entry["observations"]
        if "columns" not in config["observations"][network]:
            raise ConfigurationError(
                f"study: {experiment.name} uses the network {network}, which has no number of columns; choose one "
                "with source: simulated"
            )
    families = list(dict.fromkeys(map(family, experiments.compared)))
    for reference in config["study"]["references"]:
        if reference not in families:
            raise ConfigurationError(f"study.references: {reference!r} is not a family; known: {', '.join(families)}")
