"""What every experiment is first of all compared with."""

from collections.abc import Iterable, Mapping
from typing import Any

from ..files.provenance import group
from .experiments import Experiment


def own_references(families: Mapping[str, Experiment], references: Iterable[str]) -> dict[str, str]:
    """The reference of every experiment that has one, replicates under one name.

    Of the references on the same network that come before it: of one that is denied some data the same with all, the
    static method with the same VAE, the one with the
    same fitted background error, the same method, its control, or the first.

    Parameters
    ----------
    families : mapping
        See `Experiments.families`.
    references : iterable of str
        Experiments, or replicates of some.
    """
    named = set(map(group, references))
    chosen: dict[str, str] = {}
    before: dict[str, Experiment] = {}
    for name, experiment in families.items():
        if not experiment.method.assimilates:
            continue
        network = experiment.entry["observations"]
        known = {other: each for other, each in before.items() if each.entry["observations"] == network}
        if known:
            chosen[name] = max(known, key=lambda other: _kinship(experiment, known[other]))
        if name in named:
            before[name] = experiment
    return chosen


def _kinship(experiment: Experiment, other: Experiment) -> tuple[bool, ...]:
    """What an experiment has in common with a possible reference, the most important first."""
    static = not other.method.ensemble
    return (
        bool(experiment.without) and _all_but_denied(experiment) == _all_but_denied(other) and not other.without,
        static and experiment.vae is not None and experiment.vae == other.vae,
        static and bool(experiment.method.fitted_files) and experiment.method.fitted_files == other.method.fitted_files,
        experiment.method is other.method,
        experiment.method.control == other.method.name,
    )


def _all_but_denied(experiment: Experiment) -> dict[str, Any]:
    """The settings of an experiment without its name and the data that it is denied."""
    return {key: value for key, value in experiment.entry.items() if key not in ("without", "seed")}
