"""What every analysis says about itself, over time: its minimisation, fit, assumed errors and adapters."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pandas as pd
from safetensors import SafetensorError, safe_open

from ..analysis import METHODS
from ..fields.timeline import parse
from ..files.tables import read_table
from ..observations.table import Observations, read_observations
from .observation_fit import counts_of, fit_of_sums, rejections_of_counts, status_of, sums_of

#: quantity -> what it is, with its unit
QUANTITIES = {
    "used": "data used",
    "withheld": "data withheld",
    "denied": "data denied",
    "rejected": "data rejected by checks of departures",
    "cost_at_background": "J at the background",
    "cost_at_analysis": "J at the analysis",
    "consistency": "2 J / p at the analysis",
    "gradient_reduction": "norm of the gradient at the analysis over that at the background",
    "evaluations": "evaluations of the gradient",
    "degrees_of_freedom_for_signal": "degrees of freedom for signal, tr(H K)",
    "signal_share": "tr(H K) / p",
    "background_over_error": "rms of O - B over the assumed observation error",
    "analysis_over_error": "rms of O - A over the assumed observation error",
    "background_over_expected": "rms of O - B over what both assumed errors predict",
    "observation_error_ratio": "Desroziers' observation error over the assumed one",
    "background_error_ratio": "Desroziers' background error over the assumed one",
    "adapter_norm": "norm of the adapters",
    "adapter_distance": "rms difference of increments from the pretrained model's, over these",
}
COLUMNS = ["experiment", "valid_time", *QUANTITIES]


def read_diagnostics(paths: Sequence[str]) -> pd.DataFrame:
    """The table of all experiments' diagnostics, with `COLUMNS`; empty if there is no file, since nothing is fitted."""
    return read_table(*paths) if paths else pd.DataFrame(columns=COLUMNS)


def assimilated(diagnostics: pd.DataFrame, methods: Mapping[str, str]) -> pd.DataFrame:
    """The rows of experiments that use observations, from the method of each."""
    assimilating = [name for name, method in methods.items() if METHODS[method].assimilates]
    return diagnostics[diagnostics.experiment.isin(assimilating)]


@dataclass(frozen=True)
class Diagnosed:
    """What the analyses of an experiment say about themselves.

    Attributes
    ----------
    cycles : DataFrame
        One row per cycle, with `COLUMNS`; what a method does not have is not a number.
    fit, rejections : DataFrame
        Of `observation_fit.fit` and `rejections`, of the cycles after the spin-up.
    """

    cycles: pd.DataFrame
    fit: pd.DataFrame
    rejections: pd.DataFrame


def diagnose(experiment: str, tables: Sequence[str], adapters: Sequence[str], spin_up: int = 0) -> Diagnosed:
    """Diagnose the analyses of an experiment; every table is read only once.

    Parameters
    ----------
    tables : sequence of paths
        Observations of all analyses, in folders named by their times.
    adapters : sequence of paths
        Files of the same cycles, or none.
    spin_up : int
        Number of cycles at the start without fits.
    """
    rows = []
    sums = []
    counts = []
    for index, (path, added) in enumerate(zip_longest(tables, adapters)):
        table = read_observations(path)
        row: dict[str, Any] = {"experiment": experiment, "valid_time": f"{parse(Path(path).parent.name):%Y-%m-%dT%H}"}
        row |= of_analysis(_attributes(path), table)
        if added:
            row |= of_adapters(added)
        rows.append(row)
        if index >= spin_up:
            sums.append(sums_of(table))
            counts.append(counts_of(table))
    found = [fit_of_sums(sums), rejections_of_counts(counts)]
    for table in found:
        table.insert(0, "experiment", experiment)
    return Diagnosed(pd.DataFrame(rows, columns=COLUMNS), *found)


def of_analysis(about: Mapping[str, float], table: Observations) -> dict[str, float]:
    """The quantities of one analysis.

    Parameters
    ----------
    about : mapping
        The attributes of its table, see `Analysis.attributes`.
    table : Observations
        With departures.
    """
    status = status_of(table)
    counts = {name: int((status == name).sum()) for name in ("used", "withheld", "denied", "rejected")}
    found: dict[str, float] = {**counts, "evaluations": about["evaluations"]}
    found |= {name: about[name] for name in ("cost_at_background", "cost_at_analysis") if name in about}
    used = counts["used"]
    if not used:
        return found
    if "consistency" in about:
        found["consistency"] = about["consistency"]
    elif "cost_at_analysis" in about:
        found["consistency"] = 2 * about["cost_at_analysis"] / used
    if about.get("gradient_at_background"):
        found["gradient_reduction"] = about["gradient_at_analysis"] / about["gradient_at_background"]
    if "degrees_of_freedom_for_signal" in about:
        found["degrees_of_freedom_for_signal"] = about["degrees_of_freedom_for_signal"]
        found["signal_share"] = about["degrees_of_freedom_for_signal"] / used
    return found | _departures(table.select(status == "used"))


def _departures(used: Observations) -> dict[str, float]:
    """Departures of used data in units of the assumed observation error, which gives all variables the same weight."""
    error = used.error.astype(float)
    ob = used.observation_minus_background / error
    oa = used.observation_minus_analysis / error
    assumed = np.mean((used.background_error / error) ** 2)
    squares = {
        "background_over_error": np.mean(ob**2),
        "analysis_over_error": np.mean(oa**2),
        "background_over_expected": np.mean(ob**2) / (1 + assumed),
        "observation_error_ratio": np.mean(oa * ob),
        "background_error_ratio": np.mean((ob - oa) * ob) / assumed if assumed else np.nan,
    }
    return {name: float(value**0.5) if value >= 0 else float("nan") for name, value in squares.items()}


def of_adapters(path: str | Path) -> dict[str, float]:
    """Norm of adapters, and how far the VAE with them is from the pretrained one, see `background.finetuning`.

    Raises
    ------
    ValueError
        If the file is damaged, or was not written by the finetuning.
    """
    try:
        with safe_open(path, framework="np") as file:
            about = json.loads((file.metadata() or {})["settings"])
        return {"adapter_norm": about["norm"], "adapter_distance": about["distance"]}
    except (OSError, SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is damaged, or is not a file of adapters ({error}); make it again") from error


def _attributes(path: str | Path) -> dict[str, float]:
    """Read the numbers about the analysis from a table of observations.

    Raises
    ------
    ValueError
        If the table does not come from an analysis.
    """
    with netCDF4.Dataset(path) as dataset:
        found = {name: dataset.getncattr(name) for name in dataset.ncattrs()}
    if "evaluations" not in found:
        raise ValueError(f"{path} does not come from an analysis; make it again")
    return {name: float(value) for name, value in found.items() if not isinstance(value, str)}
