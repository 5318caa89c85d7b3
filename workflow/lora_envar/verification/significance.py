"""Whether one experiment is better than another: ratios of mean scores over common cycles, with their uncertainty.

The ratio of both means is resampled, numerator and denominator together (see `resampling`), and its logarithm is what
intervals and p-values are of: an error cannot fall by more than 100 %. p is two-sided, (1 + count) / (1 + samples).
Where many are looked at, some are small by chance: p-values of a table are adjusted for their number (Benjamini and
Hochberg 1995). With fewer than `LEAST_CYCLES` cycles there is no interval, and nothing is significant.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

from ..fields.state import HEADLINE
from .resampling import LEAST_CYCLES, blocks_for, resampled
from .score import analysis_rmse, channel_of

#: of the table of `compare`
COLUMNS = (
    "experiment",
    "reference",
    "variable",
    "level",
    "metric",
    "mean_difference",
    "ci_low",
    "ci_high",
    "percent",
    "percent_low",
    "percent_high",
    "p_value",
    "p_adjusted",
    "n",
    "block_cycles",
    "blocks",
    "seeds",
)


def compare_series(first: np.ndarray, second: np.ndarray, samples: int, seed: int) -> pd.DataFrame:
    """Compare the means of paired series of positive scores.

    Parameters
    ----------
    first, second : (cycles, series) arrays
        Scores of the same cycles, in order.
    samples : int
        Of the bootstrap.
    seed : int

    Returns
    -------
    DataFrame
        A row per series: mean_difference with ci_low and ci_high, percent (100 times the ratio of means less 1) with
        percent_low and percent_high, both 95 %, p_value, n, block_cycles, and blocks, how many of these n holds. With
        fewer than `LEAST_CYCLES` cycles, intervals are NaN and p_value is 1.
    """
    size = len(first)
    means = first.mean(axis=0), second.mean(axis=0)
    ratio = np.log(means[0] / means[1])
    blocks = blocks_for(first / means[0] - second / means[1])
    ratios = np.empty((samples, first.shape[1]))
    differences = np.empty_like(ratios)
    for chosen, weights in resampled(blocks, size, samples, seed):
        drawn = weights @ first[:, chosen], weights @ second[:, chosen]
        ratios[:, chosen] = np.log(drawn[0] / drawn[1])
        differences[:, chosen] = drawn[0] - drawn[1]
    ratios = blocks.widening * (ratios - ratio)
    difference = means[0] - means[1]
    spread = np.quantile(blocks.widening * (differences - difference), [0.025, 0.975], axis=0)
    limits = np.quantile(ratios, [0.025, 0.975], axis=0)
    p_value = (1 + (np.abs(ratios) >= np.abs(ratio)).sum(axis=0)) / (1 + samples)
    if size < LEAST_CYCLES:
        spread = np.full_like(spread, np.nan)
        limits = np.full_like(limits, np.nan)
        p_value = np.ones_like(p_value)
    return pd.DataFrame(
        {
            "mean_difference": difference,
            "ci_low": difference + spread[0],
            "ci_high": difference + spread[1],
            "percent": 100.0 * np.expm1(ratio),
            "percent_low": 100.0 * np.expm1(ratio + limits[0]),
            "percent_high": 100.0 * np.expm1(ratio + limits[1]),
            "p_value": p_value,
            "n": size,
            "block_cycles": blocks.length,
            "blocks": size / blocks.length,
        }
    )


def interval(low: float, high: float, unit: str = "") -> str:
    """The limits of an interval in percent, as pages show them."""
    return "no interval" if np.isnan(low) else f"{low:+.1f} to {high:+.1f}{unit}"


def compare(
    scores: pd.DataFrame,
    references: list[str],
    samples: int,
    seed: int,
    networks: Mapping[str, str | None] | None = None,
) -> pd.DataFrame:
    """Compare the analysis RMSE of every experiment with that of every reference, over the cycles that both have.

    Replicates are paired by their seed, and averaged cycle by cycle: what is resampled is time.

    Parameters
    ----------
    scores : DataFrame
        With the columns of `score.COLUMNS`; only cycles to be compared, global RMSE of analyses is used.
    references : list of str
        Experiments to compare with; those without scores are passed over.
    samples : int
        Of the bootstrap.
    seed : int
    networks : mapping or None
        The network of every experiment, None of those without observations: those of other networks are not compared.
        If it is None itself, all are.

    Returns
    -------
    DataFrame
        With the columns `COLUMNS`, see `compare_series`. p_adjusted is over all experiments and the headline channels
        against one reference, and apart from these over all other channels. There are no rows where no pair has two
        common cycles.
    """
    chosen = analysis_rmse(scores)
    wide = by_cycle(chosen)
    channels = chosen.drop_duplicates("channel").set_index("channel")[["variable", "level"]]
    tables = []
    for experiment in chosen.experiment.unique():
        for reference in references:
            if reference == experiment or reference not in wide or not _alike(experiment, reference, networks):
                continue
            first, second, seeds = paired(wide, experiment, reference)
            if too_short(first, experiment, reference):
                continue
            series = [frame[channels.index].to_numpy() for frame in (first, second)]
            table = compare_series(series[0], series[1], samples, seed)
            about = {"experiment": experiment, "reference": reference, "metric": "rmse", "seeds": seeds}
            tables.append(table.assign(**about, variable=channels.variable.values, level=channels.level.values))
    if not tables:
        return pd.DataFrame(columns=COLUMNS)
    return _adjusted(pd.concat(tables, ignore_index=True))[list(COLUMNS)]


def by_cycle(errors: pd.DataFrame) -> pd.DataFrame:
    """A row per valid time and seed, columns (experiment, channel), of rows of `analysis_rmse`."""
    return errors.pivot_table(index=["valid_time", "seed"], columns=["experiment", "channel"], values="value")


def paired(wide: pd.DataFrame, experiment: str, reference: str) -> tuple[pd.DataFrame, pd.DataFrame, int]:
    """Errors of two experiments, each (cycles, series), of common cycles and seeds; and how many these seeds are.

    Replicates are paired by their seed, and averaged cycle by cycle.

    Parameters
    ----------
    wide : DataFrame
        As `by_cycle` gives it: a row per valid time and seed, columns of each experiment, its series below.
    """
    pair = pd.concat([wide[experiment], wide[reference]], axis=1, keys=["a", "b"]).dropna()
    seeds = pair.index.unique("seed").size
    pair = pair.groupby("valid_time").mean()
    return pair["a"], pair["b"], seeds


def too_short(pair: pd.DataFrame, experiment: str, reference: str) -> bool:
    """Whether two experiments have fewer than two cycles in common, which a warning says; `pair` is of these cycles."""
    if len(pair) >= 2:
        return False
    print(
        f"warning: {experiment} and {reference} are not compared, because they have {len(pair)} cycles in common; "
        "replicates (seeds) are compared with replicates of the same seed"
    )
    return True


def _alike(first: str, second: str, networks: Mapping[str, str | None] | None) -> bool:
    """Whether two experiments have the same observations, or one has none."""
    if networks is None:
        return True
    return len({networks[first], networks[second]} - {None}) <= 1


def _adjusted(table: pd.DataFrame) -> pd.DataFrame:
    """The table with the column p_adjusted."""
    return table.assign(p_adjusted=adjusted(table, [table.reference, channel_of(table).isin(HEADLINE)]))


def adjusted(table: pd.DataFrame, family: list[Any]) -> pd.Series:
    """p-values of a table, each adjusted for the number of those of its family, as `DataFrame.groupby` takes it."""
    return table.groupby(family, sort=False).p_value.transform(lambda p: false_discovery_control(p, method="bh"))
