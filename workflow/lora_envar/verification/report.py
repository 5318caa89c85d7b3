"""The report: one HTML page with everything that is needed to judge the experiments, figures included."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import yaml

from .. import __version__
from ..fields.state import HEADLINE
from ..files.atomic import atomic_write
from ..files.provenance import group
from ..files.tables import read_table
from . import ABOUT_SIGNIFICANCE, costs, denials, learned
from .claims import Claim, claims, headlines
from .diagnostics import read_diagnostics
from .gate_notes import note
from .means import Means, forecast_errors, mean_errors, units_of
from .observation_fit import shown
from .replicates import grouped
from .results import nothing_to_compare

#: how an image is named within a page, by the ending of its file
_KINDS = {".png": "image/png", ".svg": "image/svg+xml"}
#: channels of the table of forecasts
FORECAST_CHANNELS = ["z500", "t850", "u500"]


@dataclass(frozen=True)
class About:
    """What was run, from the configuration.

    Attributes
    ----------
    config : dict
        The configuration.
    question : str
        The experiment in question, replicates under one name.
    references : mapping
        Experiment -> the one that it is first of all compared with, replicates under one name.
    networks : mapping
        Experiment -> its network, None of those without observations; likewise.
    first : mapping
        Experiment -> first scored cycle, as ``20220131T18``.
    shown_time : str
        Of the cycle that is shown on maps.
    """

    config: dict[str, Any]
    question: str
    references: Mapping[str, str]
    networks: Mapping[str, str | None]
    first: Mapping[str, str]
    shown_time: str


@dataclass(frozen=True)
class Figure:
    """A figure of the page: its content as an address, and the place of its numbers."""

    source: str
    table: str

    @classmethod
    def read(cls, path: str | Path, table: str) -> "Figure":
        """A PNG or SVG file."""
        data = base64.b64encode(Path(path).read_bytes()).decode()
        return cls(f"data:{_KINDS[Path(path).suffix]};base64,{data}", table)


def write_report(path: str | Path, files: Mapping[str, Any], about: About, run_costs: pd.DataFrame) -> None:
    """Write the page.

    Parameters
    ----------
    path : path
    files : mapping
        The inputs of the rule `write_report`: tables and figures by their names, lists of them where there may be none.
    about : About
    run_costs : DataFrame
        Of `costs.read_costs`.

    Raises
    ------
    ValueError
        If a table is missing or incomplete.
    """
    scores = grouped(read_table(files["scores"], dtype={"level": "Int64"}))
    comparison = read_table(files["comparison"], dtype={"level": "Int64"})
    diagnostics = read_diagnostics(files["diagnostics"])
    errors = mean_errors(scores, dict(about.first))
    found = claims(comparison, about.question, about.references)
    gates = pd.concat([read_table(files["model_gates"]), read_table(files["cycling_gates"])], ignore_index=True)
    gates = gates.astype({"passed": bool})  # an empty table has no type
    forecast_model = read_table(files["forecast"])
    html = _template().render(
        version=__version__,
        title=about.config["verification"].get("title", "Report"),
        headline=HEADLINE,
        about=about,
        claims=_of_assimilating(found, about),
        headlines=_of_assimilating(headlines(found, about.question, about.references), about),
        without=_without_observations(errors, about),
        what=_what_was_run(about, diagnostics, scores),
        about_comparisons=ABOUT_SIGNIFICANCE,
        nothing=nothing_to_compare(about.config["verification"]["references"]),
        relative_errors=Figure.read(files["relative_errors"], "relative_errors.csv"),
        profiles=Figure.read(files["profiles"], "comparison.csv"),
        spectra=Figure.read(files["spectra"], "spectra.csv"),
        scorecards=_scorecards(files["cards"], about),
        singles=[Figure.read(each, "single_observations.csv") for each in files["singles"]],
        maps=Figure.read(files["maps"], ""),
        diagnostics=[
            Figure.read(each, table)
            for each, table in zip(
                files["diagnostic_figures"], ("diagnostics.csv", "observation_fit.csv"), strict=False
            )
        ],
        ensembles=[Figure.read(each, "ensemble_scores.csv") for each in files["ensembles"][:1]],
        spreads=[Figure.read(each, "analysis_spread.csv") for each in files["spreads"][:1]],
        amplitudes=[Figure.read(each, "amplitudes.csv") for each in files["amplitudes"]],
        learned={
            "about": learned.ABOUT,
            "table": learned.shown(read_table(files["learned"])),
            "figure": Figure.read(files["learned_figure"], "learned_errors.csv"),
        },
        learning=[Figure.read(each, "learning_curves.csv") for each in files["learning"]],
        denials=[denials.shown(read_table(each, dtype={"level": "Int64"})) for each in files["denials"]],
        about_denials=denials.ABOUT,
        lead_times=sorted(_lead_times(read_table(files["lead_time"])), key=lambda each: each[0] != about.question),
        forecasts=forecast_errors(
            scores[scores.experiment.map(about.networks).notna()], list(about.networks), FORECAST_CHANNELS
        ),
        errors=[(means, dict(zip(means.errors.index, units_of(means.errors.index), strict=True))) for means in errors],
        fits=shown(*map(read_table, files["fits"])) if files["fits"] else [],
        gates=gates,
        summary=_summary(gates),
        forecast_model=forecast_model.pivot(index="variable", columns="lead_hours").reindex(HEADLINE),
        leads=sorted(forecast_model.lead_hours.unique()),
        costs=costs.shown(run_costs),
        settings=yaml.safe_dump(about.config, sort_keys=False, width=110),
    )
    with atomic_write(path) as temporary:
        temporary.write_text(html, encoding="utf-8")


def _scorecards(paths: Sequence[str], about: About) -> list[tuple[list[str], Figure]]:
    """Pairs and their cards, that of the experiment in question first."""
    cards = [
        (Path(path).stem.split("_against_"), Figure.read(path, f"scorecards/{Path(path).stem}.csv")) for path in paths
    ]
    return sorted(cards, key=lambda card: card[0][0] != about.question)


def _of_assimilating(found: list[Claim], about: About) -> list[Claim]:
    """Comparisons of experiments that use observations; the gain over none is given in a line of its own."""
    return [claim for claim in found if about.networks[claim.experiment] and about.networks[claim.reference]]


def _without_observations(means: list[Means], about: About) -> str:
    """Errors without observations relative to those of the experiment in question; empty if there is no such run."""
    free = [name for name, network in about.networks.items() if network is None]
    for table in (each.errors for each in means):
        if free and about.question not in free and {free[0], about.question} <= set(table):
            pair = table.loc["z500", [free[0], about.question]]
            return (
                f"Without observations (<code>{free[0]}</code>) the error of z500 is {pair.iloc[0]:.3g} m² s⁻², "
                f"{pair.iloc[0] / pair.iloc[1]:.0f} times that of <code>{about.question}</code>."
            )
    return ""


def _what_was_run(about: About, diagnostics: pd.DataFrame, scores: pd.DataFrame) -> list[tuple[str, str]]:
    """Names and values: period, network, number of data, truth, models, version."""
    config = about.config
    analyses = scores[scores.kind == "analysis"].valid_time
    scored = min(f"{time[:4]}-{time[4:6]}-{time[6:]}" for time in about.first.values())
    times = sorted({time for time in analyses.unique() if time >= scored})
    spin_up = config["verification"]["spin_up_cycles"]
    step = config["cycling"]["step_hours"]
    rows = [("period", f"{times[0]} to {times[-1]} UTC, {len(times)} cycles of {step} h, after {spin_up} of spin-up")]
    for network in dict.fromkeys(filter(None, about.networks.values())):
        own = [name for name, other in about.networks.items() if other == network]
        entry = ", ".join(f"{key} {value}" for key, value in config["observations"][network].items())
        used = diagnostics[diagnostics.experiment.map(group).isin(own)].used if len(diagnostics) else pd.Series()
        data = f"; {used.mean():,.0f} data used in a cycle" if len(used) else ""
        rows.append((f"observations: {network}", f"{entry}{data}"))
    grid = config["grid"]
    archive = config["archive"]
    rows += [
        ("truth", f"the archive, source {archive['source']}"),
        ("grid", f"{grid['kind']}, {grid['latitudes']} x {grid['longitudes']}, 69 channels"),
        ("forecast model", str(config["forecast_model"]["name"])),
        ("version", f"lora-envar {__version__}"),
    ]
    return rows


def _lead_times(table: pd.DataFrame) -> list[tuple[str, str, list[tuple[str, list[str]]], list[int]]]:
    """Of every pair, rows of channels with the hours gained at each lead, and these leads."""
    found = []
    for (experiment, reference), own in table.groupby(["experiment", "reference"], sort=False):
        leads = sorted(lead for lead in own.lead_hours.unique() if lead)
        rows = []
        for channel, cells in own.groupby("channel", sort=False):
            by_lead = cells.set_index("lead_hours")
            rows.append((str(channel), [_hours(by_lead.loc[lead]) for lead in leads]))
        found.append((str(experiment), str(reference), rows, leads))
    return found


def _hours(row: pd.Series) -> str:
    if pd.isna(row.gained_hours):
        return "–"
    interval = "" if pd.isna(row.gained_low) else f" ({row.gained_low:+.1f} to {row.gained_high:+.1f})"
    return f"{row.gained_hours:+.1f}{interval}"


def _summary(gates: pd.DataFrame) -> list[dict[str, Any]]:
    """Numbers of gates passed by kind, and the meaning of those that are not passed."""
    rows = []
    for (part, gate), own in gates.groupby(["part", "gate"], sort=False):
        failed = list(own.quantity[~own.passed])
        rows.append(
            {
                "part": part,
                "gate": gate,
                "good": int(own.passed.sum()),
                "of": len(own),
                "failed": "; ".join(failed),
                "note": note(str(gate)) if failed else "",
            }
        )
    return rows


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("lora_envar.verification"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["short"] = lambda value: f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return environment.get_template("report.html")
