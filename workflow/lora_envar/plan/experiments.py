"""Experiments of a configuration: those that are compared, and the candidates of a search."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from ..analysis import METHODS
from ..analysis.method import Method
from ..fields.timeline import name as time_name
from ..fields.timeline import parse, shift, times
from ..files.provenance import group
from .search import candidates


class PlanError(ValueError):
    """Something is asked for that the configuration does not lead to."""


def ensemble_sizes(entry: dict[str, Any]) -> tuple[int, int]:
    """Members of an experiment's ensemble: time-lagged ones, and those of last year's dates."""
    size = entry.get("ensemble_size", 0)
    return (size["lags"], size["last_year"]) if isinstance(size, dict) else (size, 0)


@dataclass(frozen=True)
class Experiment:
    """One experiment.

    Attributes
    ----------
    name : str
    entry : dict
        Its entry in the configuration.
    method : type
        A class of `METHODS`.
    settings : dict
        The method's, with what the experiment replaces.
    step_hours : int
        Between analyses.
    candidate : bool
        Whether it is a candidate of a search.
    """

    name: str
    entry: dict[str, Any]
    method: type[Method]
    settings: dict[str, Any]
    step_hours: int
    candidate: bool = False

    @cached_property
    def first(self) -> datetime:
        """Its first analysis time."""
        return parse(self.entry["period"][0])

    @cached_property
    def last(self) -> datetime:
        """Its last analysis time."""
        return parse(self.entry["period"][1])

    @cached_property
    def cycles(self) -> list[str]:
        """Names of its analysis times."""
        return [time_name(time) for time in times(self.first, self.last, self.step_hours)]

    @property
    def lags(self) -> int:
        """Size of its time-lagged ensemble."""
        return ensemble_sizes(self.entry)[0] if self.method.ensemble else 0

    @property
    def last_year(self) -> int:
        """Number of its members of last year's dates."""
        return ensemble_sizes(self.entry)[1]

    @property
    def ensemble_size(self) -> int:
        """Number of all its members, be they time-lagged or cycled."""
        return sum(ensemble_sizes(self.entry))

    @property
    def ensemble_of(self) -> str | None:
        """The experiment with a filter whose members are its own too."""
        return self.entry.get("ensemble_of")

    @property
    def has_cycled_members(self) -> bool:
        """Whether its ensemble is cycled by a filter, its own or another's."""
        return self.ensemble_of is not None or self.method.cycled_ensemble

    @property
    def without(self) -> list[str]:
        """Families of reports and types of observations that its analyses do not use."""
        return self.entry.get("without", [])

    @property
    def member_source(self) -> str:
        """What its members are: ``own``, ``other_days`` or ``nmc``."""
        return self.settings.get("member_source", "own")

    @property
    def vae(self) -> str | None:
        """The VAE that it uses, a name of the section `vaes`."""
        return self.entry.get("vae")

    @property
    def analysis_settings(self) -> dict[str, Any]:
        """The settings that its analyses depend on."""
        return self.method.analysis_settings(self.settings)

    @property
    def adaptive(self) -> bool:
        """Whether an analysis learns from those before it, by a file `amplitudes.csv` in every cycle."""
        return self.method.adaptive(self.settings)

    @property
    def kind(self) -> str:
        """By what an analysis writes for the next one, see `Plan.analysed_pattern`."""
        if self.method.cycled_ensemble:
            return "cycled_ensemble"
        return "adaptive" if self.adaptive else "plain"

    @property
    def finetune_settings(self) -> dict[str, Any]:
        """The settings that its finetuning depends on."""
        return self.method.finetune_settings(self.settings)

    @property
    def single_step(self) -> bool:
        """Whether every background comes from the reanalysis."""
        return self.entry.get("background") == "single_step"

    @property
    def first_guesses(self) -> list[str]:
        """The analysis times whose background comes from the reanalysis."""
        return self.cycles if self.single_step else self.cycles[:1]

    def require(self, time: str, cycles: list[str]) -> None:
        """Refuse a time that is not among cycles of the experiment.

        Raises
        ------
        PlanError
            Naming the cycles that there are.
        """
        if time not in cycles:
            raise PlanError(
                f"results/{self.name}/{time}: not a cycle of {self.name}, whose cycles are {self.cycles[0]} to "
                f"{self.cycles[-1]}, every {self.step_hours} h (experiments.{self.name}.period)"
            )

    def before(self, time: str) -> str:
        """The analysis time before one of its cycles whose background comes from there.

        Raises
        ------
        PlanError
            For other times: they would lead back for ever.
        """
        self.require(time, self.cycles[1:])
        return shift(time, -self.step_hours)

    def block(self, time: str, block_days: float) -> str:
        """The submission to a cluster that a step of a cycle belongs to: one for the cycles of some days.

        Cycles of a single-step experiment do not wait for each other, each is a submission.
        """
        if self.single_step:
            return f"{self.name}_{time}"
        span = timedelta(days=block_days)
        number = (parse(time) - self.first) // span
        return f"{self.name}_{time_name(self.first + number * span)}"


class Experiments(Mapping[str, Experiment]):
    """All experiments of a configuration, by name.

    Parameters
    ----------
    config : dict
        Checked, replicates expanded.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        searched = candidates(config)
        self._all: dict[str, Experiment] = {}
        for name, entry in {**config["experiments"], **searched}.items():
            method = METHODS[entry["method"]]
            settings = {**config["methods"].get(entry["method"], {}), **entry.get("settings", {})}
            step_hours = config["cycling"]["step_hours"]
            self._all[name] = Experiment(name, entry, method, settings, step_hours, name in searched)

    def __getitem__(self, name: str) -> Experiment:
        return self._all[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    @property
    def compared(self) -> list[Experiment]:
        """Those that are compared."""
        return [experiment for experiment in self.values() if not experiment.candidate]

    @property
    def families(self) -> dict[str, Experiment]:
        """Those that are compared, by name; of replicates, which have one name, the first."""
        first: dict[str, Experiment] = {}
        for experiment in self.compared:
            first.setdefault(group(experiment.name), experiment)
        return first

    @property
    def candidates(self) -> list[Experiment]:
        """The candidates of a search."""
        return [experiment for experiment in self.values() if experiment.candidate]
