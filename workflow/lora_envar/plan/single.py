"""Single observation experiments: which observations, when, of which experiments, and the figures of these."""

from functools import cached_property
from typing import Any

from ..observations.single import SingleObservation, parse_single
from .completion import ConfigurationError
from .experiments import Experiment, Experiments

#: where a configuration says nothing: z500 in the mid-latitudes, t850 in the tropics, u250 where jets are
DEFAULT = ("z500@45N,30W+100", "t850@5N,150E+1", "u250@35N,150E+5")


def single_observations(config: dict[str, Any]) -> list[SingleObservation]:
    """Those of a configuration.

    Raises
    ------
    ValueError
        If one of them is none.
    """
    return [parse_single(text) for text in config["verification"].get("single_observations", DEFAULT)]


def check_single_observations(config: dict[str, Any]) -> None:
    """Refuse texts that are no observations, and two of one variable at one place, whose figures have one name.

    Raises
    ------
    ConfigurationError
    """
    try:
        observations = single_observations(config)
    except ValueError as error:
        raise ConfigurationError(f"verification.single_observations: {error}") from None
    names = [observation.name for observation in observations]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(
                f"verification.single_observations: {names.count(name)} entries have one variable and place ({name}); "
                "keep one of them"
            )


class SingleObservationPlan:
    """The key `verification.single_observations`.

    Parameters
    ----------
    config : dict
        The configuration, checked, replicates expanded.
    experiments : Experiments
    """

    def __init__(self, config: dict[str, Any], experiments: Experiments) -> None:
        self._experiments = experiments
        #: the observations
        self.observations = single_observations(config)

    @property
    def texts(self) -> list[str]:
        """The observations as they are written."""
        return [str(observation) for observation in self.observations]

    @cached_property
    def experiments(self) -> list[Experiment]:
        """The compared experiments that use observations; of replicates the first."""
        return [each for each in self._experiments.families.values() if each.method.assimilates]

    @cached_property
    def times(self) -> list[str]:
        """The middle and the last of the cycles that all of these have; none where they have none in common."""
        cycles = [set(experiment.cycles) for experiment in self.experiments]
        common = sorted(set.intersection(*cycles)) if cycles else []
        return sorted({common[(len(common) - 1) // 2], common[-1]}) if common else []

    @property
    def files(self) -> list[str]:
        """The increments of every experiment."""
        return [f"results/{experiment.name}/single_observations.nc" for experiment in self.experiments]

    @property
    def figures(self) -> list[str]:
        """One for each observation and time, the times of an observation one after the other."""
        return [
            f"results/figures/single_observation_{observation.name}_{time}.png"
            for observation in self.observations
            for time in self.times
        ]
