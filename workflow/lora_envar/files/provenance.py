"""Attributes that say how the files of a step were made: experiment, seed, digest of the settings."""

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snakemake.iocontainers import Snakemake

#: stands between the name of an experiment and the seed of a replicate of it: ``hybrid_seed_2``
REPLICATE_MARK = "_seed_"


def described(job: "Snakemake") -> dict[str, str | int]:
    """Attributes of the files that a step writes: `experiment`, `seed`, `settings_digest`.

    Parameters
    ----------
    job : snakemake.iocontainers.Snakemake
        The object that Snakemake gives to scripts.

    Returns
    -------
    dict
        `experiment` of steps whose wildcards name one, `seed` of replicates among these. `settings_digest` is of what
        this step itself gets of the configuration, not of what its inputs were made with; the digest of the whole
        stands in results/configuration.yaml. In a file it would change files that do not depend on what has changed.
    """
    # the first background is of a folder {experiment}/{time}
    name = job.wildcards.get("experiment") or job.wildcards.get("first", "").partition("/")[0]
    settings = json.dumps(dict(job.params.items()), sort_keys=True, default=str)
    digest = hashlib.sha256(settings.encode()).hexdigest()[:12]
    return {**experiment_attributes(name), "settings_digest": digest}


def group(name: str) -> str:
    """The experiment that a replicate is of."""
    return name.partition(REPLICATE_MARK)[0]


def experiment_attributes(name: str) -> dict[str, str | int]:
    """Attributes with the experiment that made a file: its name, and the seed of a replicate; none without a name."""
    if not name:
        return {}
    _, _, seed = name.partition(REPLICATE_MARK)
    if not seed:
        return {"experiment": name}
    return {"experiment": name, "seed": int(seed)}
