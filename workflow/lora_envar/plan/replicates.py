"""Experiments that are repeated, on several networks or with other seeds, each with a network of its own."""

import copy
from typing import Any

from ..files.provenance import REPLICATE_MARK
from .completion import naming_experiments

#: keys of an experiment that name another one
OTHER_EXPERIMENTS = ("donor", "ensemble_of")


def with_networks(config: dict[str, Any]) -> None:
    """Put one experiment per network in place of every experiment with a list `observations`, in place.

    Experiment `name` becomes `name_network`, ...; so do references, those whose analyses' spread is
    looked at, and what `OTHER_EXPERIMENTS` name, on the same network.
    """
    members = {
        name: [f"{name}_{network}" for network in entry["observations"]]
        for name, entry in config["experiments"].items()
        if isinstance(entry["observations"], list)
    }
    experiments: dict[str, Any] = {}
    for name, entry in config["experiments"].items():
        if name not in members:
            experiments[name] = entry
            continue
        for network in entry["observations"]:
            single = copy.deepcopy(entry) | {"observations": network}
            for key in OTHER_EXPERIMENTS:
                if entry.get(key) in members:
                    single[key] = f"{entry[key]}_{network}"
            experiments[f"{name}_{network}"] = single
    config["experiments"] = experiments
    for section, key in naming_experiments(config):
        section[key] = [each for name in section[key] for each in members.get(name, [name])]


def expand(config: dict[str, Any]) -> None:
    """Put one experiment per seed in place of every experiment with a list `seeds`, in place of the configuration.

    Experiment `name` becomes `name_seed_2`, ..., and its network `network_seed_2`, ..., whose places and noise are
    drawn from that seed. What `OTHER_EXPERIMENTS` name is that of the same seed. References stay names of whole groups.
    """
    groups = {name for name, entry in config["experiments"].items() if "seeds" in entry}
    experiments = {}
    for name, entry in config["experiments"].items():
        if name not in groups:
            experiments[name] = entry
            continue
        for seed in entry["seeds"]:
            single = {key: value for key, value in copy.deepcopy(entry).items() if key != "seeds"} | {"seed": seed}
            network = config["observations"].get(entry["observations"])
            if network is not None:  # else it is refused by `check`, by its name
                single["observations"] = f"{entry['observations']}{REPLICATE_MARK}{seed}"
                config["observations"][single["observations"]] = {**network, "seed": seed}
            for key in OTHER_EXPERIMENTS:
                if entry.get(key) in groups:
                    single[key] = f"{entry[key]}{REPLICATE_MARK}{seed}"
            experiments[f"{name}{REPLICATE_MARK}{seed}"] = single
    config["experiments"] = experiments
