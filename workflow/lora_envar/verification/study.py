"""A study of several worlds: what methods gain over references, by the number of observed columns.

An experiment's score in a cycle is the geometric mean of its analysis RMSE over the headline variables, so that the
ratio of two scores is the mean ratio over variables, whatever their units. Ratios of mean scores, their intervals and
p-values are those of `significance`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

from ..fields.state import HEADLINE
from .score import after_spin_up, analysis_rmse
from .significance import by_cycle, compare_series, interval, paired, too_short

#: below which a difference of a single variable counts, after adjustment for all of the table
SIGNIFICANCE = 0.01
COLUMNS = (
    "world",
    "family",
    "columns",
    "reference",
    "percent",
    "percent_low",
    "percent_high",
    "p_value",
    "better",
    "worse",
    "z500_percent",
    "z500",
    "z500_reference",
    "cycles",
    "seeds",
)


@dataclass(frozen=True)
class Member:
    """An experiment of the study.

    Attributes
    ----------
    family : str
        What it has in common with those on other networks.
    columns : int
        Observed columns of its network.
    """

    family: str
    columns: int


def study(
    worlds: Mapping[str, pd.DataFrame],
    members: Mapping[str, Member],
    first: Mapping[str, str],
    references: list[str],
    samples: int,
    seed: int,
) -> pd.DataFrame:
    """Every family against every reference on the same network, in every world.

    Parameters
    ----------
    worlds : mapping
        By name, the scores of a run, with the columns of `score.COLUMNS`; experiments that one lacks are left out.
    members : mapping
        The experiments, replicates under one name.
    first : mapping
        Experiment -> first scored cycle.
    references : list of str
        Families.
    samples, seed : int
        Of the bootstrap.

    Returns
    -------
    DataFrame
        With `COLUMNS`: percent is 100 times the ratio of mean scores less 1, with its 95 % interval and p-value; better
        and worse count the variables that differ with p < `SIGNIFICANCE`, adjusted for all rows (Benjamini and
        Hochberg 1995); z500 and z500_reference are mean errors in m2 s-2.
    """
    rows = []
    for world, scores in worlds.items():
        wide = by_cycle(analysis_rmse(after_spin_up(scores, dict(first))))
        present = [name for name in members if name in wide.columns.get_level_values(0)]
        for name in present:
            for reference in references:
                own = members[name]
                other = next(
                    (each for each in present if members[each] == Member(reference, own.columns) and each != name), None
                )
                if other is None:
                    continue
                *pair, seeds = paired(wide, name, other)
                if too_short(pair[0], name, other):
                    continue
                rows.append(
                    {
                        "world": world,
                        "family": own.family,
                        "columns": own.columns,
                        "reference": reference,
                        **_compared(pair[0], pair[1], samples, seed),
                        "seeds": seeds,
                    }
                )
    table = pd.DataFrame(rows)
    if table.empty:
        return pd.DataFrame(columns=COLUMNS)
    p_values = np.stack(table.pop("p_values").to_numpy())
    percents = np.stack(table.pop("percents").to_numpy())
    significant = false_discovery_control(p_values, method="bh", axis=None).reshape(p_values.shape) < SIGNIFICANCE
    table["better"] = (significant & (percents < 0)).sum(1)
    table["worse"] = (significant & (percents > 0)).sum(1)
    return table[list(COLUMNS)]


def _compared(first: pd.DataFrame, second: pd.DataFrame, samples: int, seed: int) -> dict[str, object]:
    """The scores of two experiments, (cycles, channels), compared."""
    series = [frame[list(HEADLINE)].to_numpy() for frame in (first, second)]
    scores = [np.exp(np.log(values).mean(axis=1, keepdims=True)) for values in series]
    both = [np.concatenate(pair, axis=1) for pair in zip(scores, series, strict=True)]
    found = compare_series(both[0], both[1], samples, seed)
    overall = found.iloc[0]
    return {
        "percent": overall.percent,
        "percent_low": overall.percent_low,
        "percent_high": overall.percent_high,
        "p_value": overall.p_value,
        "z500_percent": found.percent[1 + HEADLINE.index("z500")],
        "z500": first.z500.mean(),
        "z500_reference": second.z500.mean(),
        "cycles": len(first),
        "p_values": found.p_value.to_numpy()[1:],
        "percents": found.percent.to_numpy()[1:],
    }


def shown(table: pd.DataFrame) -> list[tuple[str, list[str], list[list[str]]]]:
    """Tables of the page, (title, headers, rows), one per world and reference: rows are families, columns networks."""
    found = []
    for (world, reference), own in table.groupby(["world", "reference"], sort=False):
        columns = sorted(own["columns"].unique())
        rows = []
        for family, cells in own.groupby("family", sort=False):
            by_columns = cells.set_index("columns")
            rows.append(
                [family, *(_cell(by_columns.loc[count]) if count in by_columns.index else "" for count in columns)]
            )
        found.append((f"{world}: against {reference}, %", ["", *(f"{count} columns" for count in columns)], rows))
    return found


def levels(table: pd.DataFrame) -> list[tuple[str, list[str], list[list[str]]]]:
    """Tables of mean errors of z500, as `shown`, one per world: without them a percentage has no size."""
    both = [("family", "z500"), ("reference", "z500_reference")]
    long = pd.concat(
        [
            table[["world", "columns", name, value]].set_axis(["world", "columns", "family", "z500"], axis=1)
            for name, value in both
        ]
    )
    found = []
    for world, own in long.groupby("world", sort=False):
        wide = own.pivot_table(index="family", columns="columns", values="z500", aggfunc="first", sort=False)
        wide = wide[sorted(wide.columns)]
        rows = [
            [name, *("" if np.isnan(value) else f"{value:.3g}" for value in values)]
            for name, values in zip(wide.index, wide.to_numpy(), strict=True)
        ]
        found.append((f"{world}: z500, m2 s-2", ["", *(f"{count} columns" for count in wide.columns)], rows))
    return found


def _cell(row: pd.Series) -> str:
    """Percent with its interval, and of how many variables the difference is significant."""
    counts = f"{row.better:.0f} better, {row.worse:.0f} worse"
    return f"{row.percent:+.1f} ({interval(row.percent_low, row.percent_high)}); {counts}"
