"""Whether one experiment is better than another: paired differences of scores, with a moving-block bootstrap.

Scores of neighbouring cycles are correlated, so blocks of consecutive cycles are drawn, on a circle (Politis and Romano
1992). p is two-sided, from the bootstrap distribution moved to a zero mean, as (1 + count) / (1 + samples).
"""

import numpy as np
import pandas as pd

from ..replicates import grouped
from .score import channel_of


def block_means(differences: np.ndarray, block: int, samples: int, random: np.random.Generator) -> np.ndarray:
    """Means of resampled series, shape (samples, ...), of differences of shape (times, ...)."""
    size = len(differences)
    block = min(block, size)
    starts = random.integers(size, size=(samples, -(-size // block)))
    rows = (starts[..., None] + np.arange(block)).reshape(samples, -1)[:, :size] % size
    return np.stack([differences[row].mean(axis=0) for row in rows])


def compare(scores: pd.DataFrame, references: list[str], samples: int, block: int, seed: int) -> pd.DataFrame:
    """Compare the analysis RMSE of every experiment with that of every reference.

    Replicates are paired by their seed, and their differences averaged cycle by cycle: what is resampled is time.

    Parameters
    ----------
    scores : DataFrame
        With the columns of `score.COLUMNS`; only cycles to be compared, global RMSE of analyses is used.
    block : int
        Length of the blocks in cycles.

    Returns
    -------
    DataFrame
        experiment, reference, variable, level, metric, mean_difference (experiment minus reference), percent (of the
        reference's mean), ci_low and ci_high (95 % of the mean difference), p_value, n (cycles), seeds.
    """
    chosen = scores[(scores.kind == "analysis") & (scores.region == "global") & (scores.metric == "rmse")]
    chosen = grouped(chosen).assign(channel=channel_of(chosen))
    wide = chosen.pivot_table(index=["valid_time", "seed"], columns=["experiment", "channel"], values="value")
    channels = chosen.drop_duplicates("channel").set_index("channel")[["variable", "level"]]
    tables = []
    for experiment in chosen.experiment.unique():
        for reference in references:
            if reference == experiment or reference not in wide:
                continue
            pair = pd.concat([wide[experiment], wide[reference]], axis=1, keys=["a", "b"]).dropna()
            if pair.empty:
                continue
            seeds = pair.index.unique("seed").size
            pair = pair.groupby("valid_time").mean()
            first, second = pair["a"][channels.index].to_numpy(), pair["b"][channels.index].to_numpy()
            difference = first - second
            mean = difference.mean(axis=0)
            resampled = block_means(difference, block, samples, np.random.default_rng([seed, len(difference)]))
            low, high = np.quantile(resampled, [0.025, 0.975], axis=0)
            beyond = (np.abs(resampled - mean) >= np.abs(mean)).sum(axis=0)
            tables.append(
                pd.DataFrame(
                    {
                        "experiment": experiment,
                        "reference": reference,
                        "variable": channels.variable.values,
                        "level": channels.level.values,
                        "metric": "rmse",
                        "mean_difference": mean,
                        "percent": 100.0 * mean / second.mean(axis=0),
                        "ci_low": low,
                        "ci_high": high,
                        "p_value": (1 + beyond) / (1 + samples),
                        "n": len(difference),
                        "seeds": seeds,
                    }
                )
            )
    if not tables:
        raise ValueError("there is no pair of experiment and reference with common cycles (verification.references)")
    return pd.concat(tables, ignore_index=True)
