"""The best candidate of every method in a search for settings (see `plan.search`)."""

from typing import Any

import numpy as np
import pandas as pd

from ..fields.state import HEADLINE
from .score import channel_of


def rank(scores: pd.DataFrame, experiments: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """Rank candidates by their mean analysis RMSE of the headline variables, the best of each method first.

    Parameters
    ----------
    scores : DataFrame
        With the columns of `score.COLUMNS`; only cycles to be compared.
    experiments : dict
        Candidates as `plan.search.candidates` gives them, by name.

    Returns
    -------
    DataFrame
        method, candidate, ratio (geometric mean over the headline variables of the RMSE over that of the method's first
        candidate), settings, and one column per variable.
    """
    chosen = scores[(scores.kind == "analysis") & (scores.region == "global") & (scores.metric == "rmse")]
    squares = chosen.assign(channel=channel_of(chosen), square=chosen.value**2)
    rmse = squares.pivot_table(index="experiment", columns="channel", values="square")[list(HEADLINE)] ** 0.5
    rows = []
    for name, experiment in experiments.items():
        first = rmse.loc[next(n for n, e in experiments.items() if e["method"] == experiment["method"])]
        ratio = float(np.exp(np.log(rmse.loc[name] / first).mean()))
        rows.append(
            {
                "method": experiment["method"],
                "candidate": name,
                "ratio": ratio,
                "settings": experiment["settings"],
                **rmse.loc[name],
            }
        )
    return pd.DataFrame(rows).sort_values(["method", "ratio"], kind="stable", ignore_index=True)


def best(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """The settings of the best candidate of every method, from a table of `rank`."""
    return {row.method: row.settings for row in table.drop_duplicates("method").itertuples()}
