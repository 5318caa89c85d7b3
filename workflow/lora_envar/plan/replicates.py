"""Experiments that are repeated with other seeds, each with an observing network of its own."""

import copy
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

MARK = "_seed_"


def expand(config: dict):
    """Put one experiment a seed in place of every experiment with a list `seeds`, in place of the configuration.

    Experiment `name` becomes `name_seed_2`, ..., and its network `network_seed_2`, ..., whose places and noise are
    drawn from that seed. Its donor is that of the same seed. References stay names of whole groups.
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
                single["observations"] = f"{entry['observations']}{MARK}{seed}"
                config["observations"][single["observations"]] = {**network, "seed": seed}
            if entry.get("donor") in groups:
                single["donor"] = f"{entry['donor']}{MARK}{seed}"
            experiments[f"{name}{MARK}{seed}"] = single
    config["experiments"] = experiments


def group(name: str) -> str:
    """The experiment that a replicate is of."""
    return name.partition(MARK)[0]


def described(name: str | None) -> dict:
    """What the attributes of a file say of the experiment that made it: its name, and the seed of a replicate."""
    if name is None:
        return {}
    _, _, seed = name.partition(MARK)
    return {"experiment": name, **({"seed": int(seed)} if seed else {})}


def grouped(scores: "pd.DataFrame") -> "pd.DataFrame":
    """Scores with replicates named by their group, and a column `seed` (0 where there are no replicates)."""
    parts = scores.experiment.str.partition(MARK)
    return scores.assign(experiment=parts[0], seed=parts[2].replace("", "0").astype(int))
