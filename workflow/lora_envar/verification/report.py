"""The report: one HTML page with all that is needed to judge the experiments, figures included."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import jinja2
import pandas as pd
import yaml

from .. import __version__
from ..fields.state import HEADLINE
from ..fields.timeline import parse
from ..files.atomic import atomic_write
from ..files.provenance import group
from ..files.tables import read_table
from . import ABOUT_SIGNIFICANCE, SIGNIFICANCE, costs, learned
from .figures import error_curves
from .means import forecast_errors, mean_errors, units_of
from .observation_fit import shown
from .replicates import grouped
from .results import nothing_to_compare
from .score import channel_of


class TableFiles(Protocol):
    """Files of tables by their names, as the inputs of a rule are."""

    scores: str
    comparison: str
    model_gates: str
    cycling_gates: str
    forecast: str
    learned: str
    fits: Sequence[str]


class ReportFiles(Protocol):
    """Files of the report by their names, as the outputs of a rule are."""

    curves: str
    html: str


@dataclass(frozen=True)
class Tables:
    """The tables that the report shows, and the end of the spin-up by experiment; replicates under one name."""

    scores: pd.DataFrame
    comparison: pd.DataFrame
    model_gates: pd.DataFrame
    cycling_gates: pd.DataFrame
    forecast: pd.DataFrame
    learned: pd.DataFrame
    first: dict[str, str]
    fits: tuple[pd.DataFrame, ...] = ()

    @classmethod
    def read(cls, paths: TableFiles, first: dict[str, str]) -> "Tables":
        """The tables of files.

        Parameters
        ----------
        paths : object with the names of the tables as attributes
        first : dict
            Experiment -> first scored cycle, as ``20220131T18``.

        Raises
        ------
        ValueError
            If a file is missing or not whole.
        """
        names = ("scores", "comparison", "model_gates", "cycling_gates", "forecast", "learned")
        tables = {name: read_table(getattr(paths, name)) for name in names}
        for name in ("scores", "comparison"):
            tables[name]["level"] = tables[name]["level"].astype("Int64")
        tables["scores"] = grouped(tables["scores"])
        fits = tuple(map(read_table, paths.fits))  # of experiments with reports
        return cls(first={group(name): time for name, time in first.items()}, fits=fits, **tables)


def _comparisons(tables: Tables) -> list[dict[str, Any]]:
    """Per pair of experiment and reference: one cell per headline channel."""
    table = tables.comparison.assign(channel=channel_of(tables.comparison))
    pairs = []
    for (experiment, reference), rows in table.groupby(["experiment", "reference"], sort=False):
        by_channel = rows.set_index("channel")
        cells = []
        for name in HEADLINE:
            row = by_channel.loc[name]
            verdict = ("better" if row.percent < 0 else "worse") if row.p_adjusted < SIGNIFICANCE else "equal"
            cells.append(
                {
                    "percent": f"{row.percent:+.1f}",
                    "interval": f"{row.percent_low:+.1f} to {row.percent_high:+.1f}",
                    "p": f"{row.p_adjusted:.3g}",
                    "verdict": verdict,
                }
            )
        headline = by_channel.loc[list(HEADLINE)]
        pairs.append(
            {
                "experiment": experiment,
                "reference": reference,
                "cells": cells,
                "n": int(rows.n.iloc[0]),
                "blocks": f"{headline.blocks.min():.0f} to {headline.blocks.max():.0f}",
            }
        )
    return pairs


def write_report(
    paths: ReportFiles,
    config: dict[str, Any],
    tables: Tables,
    figures: Sequence[str | Path],
    shown_cycle: tuple[str, str],
    run_costs: pd.DataFrame,
) -> None:
    """Write the error curves (paths.curves) and the page (paths.html).

    Parameters
    ----------
    figures : sequence of paths
        Maps of the shown cycle, what background errors have learned, and the course of amplitudes, where experiments
        calibrate themselves.
    shown_cycle : (str, str)
        Its experiment and time.
    run_costs : DataFrame
        Of `read_costs`.
    """
    error_curves(paths.curves, tables.scores, tables.first)
    gates = pd.concat([tables.model_gates, tables.cycling_gates], ignore_index=True)
    html = _template().render(
        version=__version__,
        headline=HEADLINE,
        errors=[
            (means, dict(zip(means.errors.index, units_of(means.errors.index), strict=True)))
            for means in mean_errors(tables.scores, tables.first)
        ],
        about_comparisons=ABOUT_SIGNIFICANCE,
        nothing=nothing_to_compare(config["verification"]["references"]),
        comparisons=_comparisons(tables),
        forecasts=forecast_errors(tables.scores, list(tables.first), ["z500", "t850", "u500"]),
        forecast_model=tables.forecast.pivot(index="variable", columns="lead_hours").reindex(HEADLINE),
        leads=sorted(tables.forecast.lead_hours.unique()),
        gates=gates,
        summary=gates.groupby(["part", "gate"], sort=False).passed.agg(good="sum", of="size").reset_index(),
        maps=_embedded(figures[0]),
        learned={"about": learned.ABOUT, "table": learned.shown(tables.learned), "figure": _embedded(figures[1])},
        amplitudes=[_embedded(path) for path in figures[2:]],
        curves=_embedded(paths.curves),
        sections=(shown(*tables.fits) if tables.fits else []) + costs.shown(run_costs),
        shown_experiment=shown_cycle[0],
        shown_time=parse(shown_cycle[1]),
        settings=yaml.safe_dump(config, sort_keys=False, width=110),
        spin_up=config["verification"]["spin_up_cycles"],
    )
    with atomic_write(paths.html) as temporary:
        temporary.write_text(html, encoding="utf-8")


def _embedded(path: str | Path) -> str:
    """A PNG file as the address of an image within a page."""
    with open(path, "rb") as file:
        return "data:image/png;base64," + base64.b64encode(file.read()).decode()


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("lora_envar.verification"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["short"] = lambda value: f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return environment.get_template("report.html")
