"""The cycles of an experiment in a folder of results: what is there, and what an unfinished run still lacks."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import yaml

from ..fields.timeline import name as time_name
from ..fields.timeline import parse
from ..plan.plan import Plan

#: what the folder of results says of the run that makes it, see `plan.belonging`
RECORD = "configuration.yaml"
#: most times that a message names
_SHOWN = 4


@dataclass(frozen=True)
class Cycles:
    """Cycles of one experiment.

    Attributes
    ----------
    experiment : str
    folders : dict
        Time -> folder, in order.
    planned : dict or None
        File -> times at which the run makes it, of all its cycles; None where that is not known, or where single
        cycles were asked for.
    """

    experiment: str
    folders: dict[datetime, Path]
    planned: dict[str, list[datetime]] | None

    def files(self, name: str) -> dict[datetime, Path]:
        """The existing files of a name, by time."""
        return {time: folder / name for time, folder in self.folders.items() if (folder / name).is_file()}

    def wanted(self, name: str) -> list[datetime]:
        """The times at which there should be a file of a name.

        They are those of the run's plan; without one, all cycles that have begun, but none for forecasts.
        """
        if self.planned is not None:
            return self.planned[name]
        return [] if name == "forecast.nc" else list(self.folders)

    def missing(self, name: str) -> list[datetime]:
        """The times at which a file of a name should exist, but does not."""
        there = self.files(name)
        return [time for time in self.wanted(name) if time not in there]

    def shortfall(self, name: str) -> str | None:
        """A sentence about missing files of a name, or None."""
        lacking = self.missing(name)
        if not lacking:
            return None
        named = ", ".join(time_name(time) for time in lacking[:_SHOWN])
        more = f" and {len(lacking) - _SHOWN} more" if len(lacking) > _SHOWN else ""
        share = f"{len(lacking)} of {len(self.wanted(name))}"
        return f"{self.experiment}: {name} is missing at {share} times, which are left out: {named}{more}"


def cycle_time(folder: Path) -> datetime | None:
    """The time of a cycle's folder; None if its name is not a time."""
    try:
        return parse(folder.name) if folder.is_dir() and "-" not in folder.name else None
    except ValueError:
        return None


def is_experiment(path: str | Path) -> bool:
    """Whether a path is the folder of a cycle, or of an experiment."""
    path = Path(path)
    return bool(cycle_time(path)) or (path.is_dir() and bool(_cycles_in(path)))


def _cycles_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if cycle_time(path))


def find_cycles(paths: Sequence[str | Path]) -> Cycles:
    """The cycles of an experiment's folder, or those whose folders are given.

    Raises
    ------
    ValueError
        If a path is neither, or if they belong to several experiments.
    """
    whole: list[Path] = []
    folders: list[Path] = []
    for path in map(Path, paths):
        if not path.exists():
            raise ValueError(f"{path} does not exist; give the folder of an experiment, such as results/hybrid")
        if path.is_dir() and cycle_time(path):
            folders.append(path)
            continue
        inside = _cycles_in(path) if path.is_dir() else []
        if not inside:
            raise ValueError(f"{path} {_what_it_is(path)}; give the folder of an experiment, such as results/hybrid")
        whole.append(path)
        folders += inside
    parents = {folder.resolve().parent for folder in folders}
    if len(parents) > 1:
        names = ", ".join(sorted(parent.name for parent in parents))
        raise ValueError(f"{names} are several experiments; export each by itself, to a place of its own")
    (parent,) = parents
    by_time = {parse(folder.name): folder for folder in sorted(folders, key=lambda folder: folder.name)}
    return Cycles(parent.name, by_time, _planned(parent) if whole else None)


def _what_it_is(path: Path) -> str:
    """The reason why a path is not the folder of an experiment, in words."""
    if path.is_file():
        return "is a file, not a folder of results"
    experiments = [inside.name for inside in sorted(path.iterdir()) if inside.is_dir() and _cycles_in(inside)]
    if experiments:
        return f"has the experiments {', '.join(experiments)}"
    return "has no cycles (folders with names such as 20090501T06)"


def _planned(folder: Path) -> dict[str, list[datetime]] | None:
    """Times of each kind of file that the run of an experiment makes; None if the run's record does not tell."""
    record = folder.parent / RECORD
    if not record.is_file():
        return None
    try:
        plan = Plan(yaml.safe_load(record.read_text())["configuration"])
        experiment = plan.experiments[folder.name]
        starts = plan.verification.forecast_starts(experiment)
    except (KeyError, TypeError, ValueError, yaml.YAMLError):
        # of another version, or of another run: what is there can be exported all the same
        return None
    cycles = [parse(time) for time in experiment.cycles]
    return {"analysis.nc": cycles, "observations.nc": cycles, "forecast.nc": [parse(start) for start in starts]}
