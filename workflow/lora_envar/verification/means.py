"""Means of scores side by side, over the cycles that all have in common, so that all columns have the same weather."""

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from ..fields.state import CHANNELS, HEADLINE
from ..files.provenance import group
from .score import after_spin_up, analysis_rmse, channel_of


@dataclass(frozen=True)
class Means:
    """A table of means over common cycles.

    Attributes
    ----------
    errors : DataFrame
        Of `mean_errors`, a row per headline channel, a column per experiment; replicates together.
    cycles : int
        The number of cycles behind the means.
    first, last : str
        The first of them, and the last.
    """

    errors: pd.DataFrame
    cycles: int
    first: str
    last: str


def common_times(rows: pd.DataFrame) -> list[tuple[list[str], set[str]]]:
    """Groups of experiments with common valid times, and these; each experiment joins the first group that it can.

    Parameters
    ----------
    rows : DataFrame
        With the columns experiment and valid_time.
    """
    groups: list[tuple[list[str], set[str]]] = []
    for experiment, times in rows.groupby("experiment", sort=False).valid_time:
        own = set(times)
        for index, (names, common) in enumerate(groups):
            if common & own:
                groups[index] = ([*names, experiment], common & own)
                break
        else:
            groups.append(([experiment], own))
    return groups


def mean_errors(scores: pd.DataFrame, first: dict[str, str]) -> list[Means]:
    """Mean analysis RMSE of the headline channels after the spin-up, one table per group with common cycles.

    Parameters
    ----------
    scores : DataFrame
        With the columns of `score.COLUMNS`.
    first : dict
        Experiment -> first scored cycle, as ``20220131T18``; in the order of the columns.
    """
    rows = analysis_rmse(after_spin_up(scores, first))
    order = list(dict.fromkeys(map(group, first)))
    rows = rows.sort_values("experiment", key=lambda names: names.map(order.index), kind="stable")
    tables = []
    for names, times in common_times(rows):
        common = rows[rows.experiment.isin(names) & rows.valid_time.isin(times)]
        wide = common.pivot_table(index="channel", columns="experiment", values="value").reindex(HEADLINE)[names]
        tables.append(Means(wide, len(times), min(times), max(times)))
    return tables


def forecast_errors(scores: pd.DataFrame, order: list[str], channels: list[str]) -> pd.DataFrame | None:
    """Mean RMSE of forecasts by channel and lead, over the starts that all experiments with forecasts have in common.

    Parameters
    ----------
    scores : DataFrame
        With the columns of `score.COLUMNS`, replicates named by their group.
    order : list of str
        Experiments, in the order of the columns.

    Returns
    -------
    DataFrame or None
        channel, lead_hours, starts, and a column per experiment; None where there are no common starts.
    """
    rows = scores[(scores.kind == "forecast") & (scores.region == "global") & (scores.metric == "rmse")]
    rows = rows.assign(channel=channel_of(rows))
    rows = rows[rows.channel.isin(channels)]
    count = rows.experiment.nunique()
    shared = rows.groupby(["lead_hours", "valid_time"]).experiment.transform("nunique") == count
    rows = rows[shared]
    if rows.empty:
        return None
    wide = rows.pivot_table(index=["channel", "lead_hours"], columns="experiment", values="value")
    wide = wide[[name for name in order if name in wide]]
    starts = rows.groupby(["channel", "lead_hours"]).valid_time.nunique()
    wide.insert(0, "starts", starts.reindex(wide.index))
    return wide.reset_index()


def units_of(names: Iterable[str]) -> list[str]:
    """Units of channels."""
    units = {channel.name: channel.units for channel in CHANNELS}
    return [units[name] for name in names]
