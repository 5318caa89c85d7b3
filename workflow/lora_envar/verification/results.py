"""The comparison as a page of Markdown: errors, differences with their significance, and the cost of a cycle."""

from pathlib import Path
from typing import Any

import pandas as pd

from ..fields.state import HEADLINE
from ..files.provenance import group
from ..files.tables import markdown_table, read_table
from . import SIGNIFICANCE, study
from .costs import job_seconds
from .means import Means, common_times, units_of
from .replicates import grouped
from .score import after_spin_up, channel_of
from .significance import interval

#: rules that an analysis takes, and what their column is called
STAGES = {
    "finetune_lora": "finetuning",
    "finetune_all": "finetuning",
    "assimilate": "analysis",
    "assimilate_adaptive": "analysis",
    "ensemble_forecast": "forecast",
    "background_forecast": "forecast",
    "assimilate_ensemble": "analysis",
    "cycled_ensemble_forecast": "forecast",
}


def cost(diagnostics: pd.DataFrame, filters: dict[str, str], benchmarks: str | Path) -> pd.DataFrame:
    """Mean seconds per cycle of each stage, and gradient evaluations per analysis, by group of experiments.

    Parameters
    ----------
    diagnostics : DataFrame
        Of the experiments that assimilate, see `diagnostics.assimilated`.
    filters : dict
        Experiment -> the experiment whose members it takes, which it cannot do without; of those that do.
    benchmarks : path
        Snakemake's; jobs without one count as nothing.
    """
    rows = []
    for name, own in diagnostics.groupby("experiment", sort=False):
        row: dict[str, Any] = {"experiment": group(name), "evaluations": own.evaluations.mean()}
        row |= _stage_seconds(name, benchmarks)
        row["filter"] = sum(_stage_seconds(filters[name], benchmarks).values()) if name in filters else 0.0
        rows.append(row)
    columns = ["experiment", "evaluations", *dict.fromkeys(STAGES.values()), "filter"]
    return pd.DataFrame(rows, columns=columns).groupby("experiment", sort=False).mean()


def _stage_seconds(name: str, benchmarks: str | Path) -> dict[str, float]:
    """Mean seconds per cycle of an experiment, by stage."""
    row = dict.fromkeys(STAGES.values(), 0.0)
    for rule, stage in STAGES.items():
        seconds = [job_seconds(path) for path in sorted((Path(benchmarks) / rule / name).glob("*.tsv"))]
        row[stage] += sum(seconds) / len(seconds) if seconds else 0.0
    return row


def ensembles(files: list[str], first: dict[str, str]) -> list[Means]:
    """Means of tables of `ensemble.diagnose` after the spin-up, a table per group of experiments with common cycles."""
    if not files:
        return []
    rows = grouped(after_spin_up(pd.concat(map(read_table, files), ignore_index=True), first))
    tables = []
    for names, times in common_times(rows):
        common = rows[rows.experiment.isin(names) & rows.valid_time.isin(times)]
        means = common.groupby("experiment", sort=False).mean(numeric_only=True).drop(columns="seed")
        tables.append(Means(means, len(times), min(times), max(times)))
    return tables


def page(
    title: str,
    errors: list[Means],
    comparison: pd.DataFrame,
    costs: pd.DataFrame,
    about: list[str],
    diagnosed: list[Means],
) -> str:
    """The page.

    Parameters
    ----------
    errors : list of Means
        Analysis RMSE, see `means.mean_errors`.
    comparison : DataFrame
        As of `significance.compare`.
    costs : DataFrame
        As of `cost`.
    about : list of str
        Sentences on what was compared.
    diagnosed : list of Means
        As of `ensembles`.
    """
    parts = [f"# {title}", " ".join(about)]
    for means in errors:
        parts.append("## Analysis RMSE")
        parts.append(f"Means over the {means.cycles} cycles that all columns have, {means.first} to {means.last}.")
        columns = list(means.errors)
        units = units_of(HEADLINE)
        rows = [
            [f"{name}, {unit}", *(f"{means.errors.loc[name, column]:.3g}" for column in columns)]
            for name, unit in zip(HEADLINE, units, strict=True)
        ]
        parts.append(markdown_table(["", *columns], rows))
    table = comparison.assign(channel=channel_of(comparison))
    for reference, pairs in table.groupby("reference", sort=False):
        parts.append(f"## Against {reference}, %")
        rows = []
        for experiment, cells in pairs.groupby("experiment", sort=False):
            by_channel = cells.set_index("channel").loc[list(HEADLINE)]
            blocks = f"{by_channel.blocks.min():.0f} to {by_channel.blocks.max():.0f}"
            values = [_cell(by_channel.loc[name]) for name in HEADLINE]
            rows.append([experiment, *values, str(int(cells.n.iloc[0])), blocks])
        parts.append(markdown_table(["", *HEADLINE, "cycles", "blocks"], rows))
    parts.append("## Cost of a cycle")
    names = {
        "finetuning": "finetuning, s",
        "analysis": "analysis, s",
        "forecast": "forecasts, s",
        "filter": "filter whose members it takes, s",
    }
    rows = [
        [name, *(f"{row[key]:.1f}" for key in names), f"{sum(row[key] for key in names):.1f}", f"{row.evaluations:.0f}"]
        for name, row in costs.iterrows()
    ]
    parts.append(markdown_table(["", *names.values(), "together, s", "gradient evaluations"], rows))
    if diagnosed:
        parts.append("## What the ensembles know about the background error")
        parts.append(
            "The spread over the error of the mean, and the share of the background error's mean square, over all "
            "channels, that the perturbations of members span: of members of the day, and of another day."
        )
    for means in diagnosed:
        parts.append(f"Means over the {means.cycles} cycles that all rows have, {means.first} to {means.last}.")
        quantities = ("spread_over_error", "share", "share_of_other_days")
        rows = [
            [name, f"{row.members:.0f}", *(f"{row[key]:.3f}" for key in quantities)]
            for name, row in means.errors.iterrows()
        ]
        parts.append(markdown_table(["", "members", "spread / error", "share spanned", "by another day's"], rows))
    return "\n\n".join(parts) + "\n"


def study_page(title: str, table: pd.DataFrame, samples: int) -> str:
    """The page of a study, see `study.study`; `samples` are those of the bootstrap."""
    about = (
        "The entries are changes of the geometric mean of the analysis RMSE of ten variables, in percent, relative to "
        f"a reference on the same network, with 95 % intervals from {samples} resamplings of the cycles in blocks. "
        "They are followed by the numbers of variables, out of ten, that are better or worse with "
        f"p < {study.SIGNIFICANCE} after adjustment for the number of all comparisons (Benjamini and Hochberg). The "
        "rule `study` makes these tables."
    )
    parts = [f"# {title}", about, "![gain by density](figures/study.png)"]
    for heading, headers, rows in [*study.shown(table), *study.levels(table)]:
        parts += [f"## {heading}", markdown_table(headers, rows)]
    return "\n\n".join(parts) + "\n"


def table_sections(tables: list[tuple[str, str, list[str], list[list[str]]]]) -> str:
    """Parts of the page, one per title, explanation, headers and rows."""
    return "".join(
        f"\n## {title}\n\n{about}\n\n{markdown_table(headers, rows)}\n" for title, about, headers, rows in tables
    )


def nothing_to_compare(references: list[str]) -> str:
    """Why a table of comparisons may be empty, for pages that have none."""
    if not references:
        return "Nothing is compared: verification.references is empty."
    return f"Nothing is compared: no experiment has two scored cycles in common with {', '.join(references)}."


def _cell(row: pd.Series) -> str:
    """Percent with its 95 % interval, bold where it is significant."""
    percent = f"{row.percent:+.1f}"
    shown = f"**{percent}**" if row.p_adjusted < SIGNIFICANCE else percent
    return f"{shown} ({interval(row.percent_low, row.percent_high)})"
