"""What families of reports contribute: how much errors grow if one of them is denied."""

from collections.abc import Mapping, Sequence

import pandas as pd

from ..fields.state import HEADLINE
from .score import channel_of
from .significance import interval

#: of the table of `denials`
COLUMNS = [
    "without",
    "experiment",
    "reference",
    "variable",
    "level",
    "percent",
    "percent_low",
    "percent_high",
    "p_adjusted",
    "n",
    "seeds",
]
ABOUT = (
    "The growth of the analysis RMSE where data are left out, in percent of the RMSE with all of them, with 95 % "
    "intervals; * marks an adjusted p below 0.05. Denied data are still compared with states "
    "(status `denied` of results/observation_fit.csv)."
)


def denials(
    comparison: pd.DataFrame, without: Mapping[str, Sequence[str]], references: Mapping[str, str]
) -> pd.DataFrame:
    """The rows of a comparison in which an experiment without some data is compared with one that has all of them.

    Parameters
    ----------
    comparison : DataFrame
        Of `significance.compare`.
    without : mapping
        Experiment -> the data that it is denied.
    references : mapping
        Experiment -> the one that it is first of all compared with.

    Returns
    -------
    DataFrame
        With `COLUMNS`; percent is the growth of the RMSE.
    """
    rows = comparison[comparison.experiment.isin(list(without))]
    rows = rows[rows.reference == rows.experiment.map(dict(references))]
    named = {name: " and ".join(groups) for name, groups in without.items()}
    return rows.assign(without=rows.experiment.map(named))[COLUMNS].reset_index(drop=True)


def shown(table: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Headers and rows of a table of `denials` for a page: one row per experiment, one column per headline variable."""
    table = table.assign(channel=channel_of(table))
    rows = []
    for (without, experiment, reference), own in table.groupby(["without", "experiment", "reference"], sort=False):
        cells = own.set_index("channel")
        row = [str(without).replace("_", " "), f"{experiment} / {reference}"]
        for name in HEADLINE:
            cell = cells.loc[name]
            star = "*" if cell.p_adjusted < 0.05 else ""
            row.append(f"{cell.percent:+.1f}{star} ({interval(cell.percent_low, cell.percent_high)})")
        rows.append(row)
    return ["left out", "experiment", *HEADLINE], rows
