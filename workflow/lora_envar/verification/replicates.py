"""Replicates of an experiment, one per seed, under a common name."""

import pandas as pd

from ..files.provenance import REPLICATE_MARK


def grouped(scores: pd.DataFrame) -> pd.DataFrame:
    """Scores with replicates named by their group, and a column `seed` (0 where there are no replicates)."""
    parts = scores.experiment.str.partition(REPLICATE_MARK)
    return scores.assign(experiment=parts[0], seed=parts[2].replace("", "0").astype(int))
