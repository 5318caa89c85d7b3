"""The spread of samples about analyses: of which experiments, and when."""

from functools import cached_property
from typing import Any

from ..analysis import METHODS
from ..analysis.method import VariationalMethod
from ..fields.timeline import parse
from ..files.provenance import group
from .archive import ArchivePlan
from .completion import ConfigurationError
from .experiments import Experiment, Experiments


def check_analysis_spread(config: dict[str, Any]) -> None:
    """Refuse experiments that there are not, or whose analyses are no minimum, and times between the cycles.

    Raises
    ------
    ConfigurationError
        Naming the key, what was found, and what to do.
    """
    wanted = config["verification"].get("analysis_spread")
    if not wanted:
        return
    key = "verification.analysis_spread"
    step = config["cycling"]["step_hours"]
    if wanted["every_hours"] % step:
        raise ConfigurationError(
            f"{key}.every_hours: {wanted['every_hours']} h is not a multiple of cycling.step_hours, {step} h"
        )
    methods = {group(name): entry["method"] for name, entry in config["experiments"].items()}
    variational = [name for name, method in methods.items() if issubclass(METHODS[method], VariationalMethod)]
    for name in wanted.get("experiments", []):
        if name not in methods:
            raise ConfigurationError(f"{key}.experiments: {name!r} is not an experiment; known: {', '.join(methods)}")
        if name not in variational:
            raise ConfigurationError(
                f"{key}.experiments: {name} (method {methods[name]}) minimises no cost function from which samples "
                f"could be drawn; possible: {', '.join(variational) or 'none'}"
            )


class AnalysisSpreadPlan:
    """The key `verification.analysis_spread`.

    Parameters
    ----------
    config : dict
        The configuration, checked, replicates expanded.
    experiments : Experiments
    archive : ArchivePlan
    """

    def __init__(self, config: dict[str, Any], experiments: Experiments, archive: ArchivePlan) -> None:
        self._wanted = config["verification"].get("analysis_spread")
        self._spin_up = config["verification"]["spin_up_cycles"]
        self._step = config["cycling"]["step_hours"]
        self._experiments = experiments
        self._archive = archive

    @property
    def samples(self) -> int:
        """How many there are about every analysis; 0 if there are none."""
        return self._wanted["samples"] if self._wanted else 0

    @cached_property
    def experiments(self) -> list[Experiment]:
        """Those that are named, in this order, or all that minimise a cost function; of replicates the first."""
        if not self._wanted:
            return []
        families = self._experiments.families
        known = {name: each for name, each in families.items() if issubclass(each.method, VariationalMethod)}
        return [known[name] for name in self._wanted.get("experiments", known) if name in known]

    def times(self, experiment: Experiment) -> list[str]:
        """Of its scored cycles, those whose analyses are looked at."""
        if experiment not in self.experiments:
            return []
        return experiment.cycles[self._spin_up :: self._wanted["every_hours"] // self._step]

    @property
    def names(self) -> list[str]:
        """Names of these experiments."""
        return [experiment.name for experiment in self.experiments]

    @property
    def experiment_of_each(self) -> list[str]:
        """The experiment of every analysis that is looked at, replicates under one name."""
        return [group(experiment.name) for experiment in self.experiments for _ in self.times(experiment)]

    @property
    def _folders(self) -> list[str]:
        return [
            f"results/{experiment.name}/{time}" for experiment in self.experiments for time in self.times(experiment)
        ]

    def compared(self) -> dict[str, list[str]]:
        """The spread of every analysis, these analyses in the same order, and the truth."""
        times = {time for experiment in self.experiments for time in self.times(experiment)}
        return {
            "spreads": [f"{folder}/analysis_spread.nc" for folder in self._folders],
            "analyses": [f"{folder}/analysis.nc" for folder in self._folders],
            "archive": self._archive.files(parse(min(times)), parse(max(times))) if times else [],
        }

    @property
    def files(self) -> list[str]:
        """Figure and table; none where no analysis is looked at."""
        names = ("figures/analysis_spread.png", "analysis_spread.csv")
        return [f"results/{name}" for name in names] if self._folders else []
