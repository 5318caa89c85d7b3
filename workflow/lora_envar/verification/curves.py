"""Figures with lines: how experiments differ over time, by height and by scale. Each is a PNG and an SVG file."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from ..fields.state import CHANNELS, LEVELS, UPPER_AIR
from .diagnostics import QUANTITIES
from .figures import PALETTE, save, time_axis
from .score import analysis_rmse, channel_of

#: paths of a figure, one per format
Paths = Sequence[str | Path]
#: of diagnostics over time: those that are drawn, and whether on a logarithmic axis
OVER_TIME = {
    "consistency": False,
    "background_over_expected": False,
    "observation_error_ratio": False,
    "background_error_ratio": False,
    "background_over_error": False,
    "analysis_over_error": False,
    "signal_share": False,
    "evaluations": False,
    "gradient_reduction": True,
    "adapter_norm": False,
    "adapter_distance": False,
}
#: channels of errors over time
RELATIVE = ("z500", "t850", "u500", "q700", "t2m", "msl")
#: channels of rank histograms
RANKED = ("z500", "q700", "u500", "v500", "t850")
#: how far beyond the largest difference an axis goes: wider intervals are cut
CUT = 1.5
#: ratio of the largest to the smallest loss beyond which their axis is logarithmic
WIDE = 5.0
#: share of the largest power of the truth below which there is none
NEGLIGIBLE = 1e-9
#: levels with a label
MARKED_LEVELS = [50, 100, 200, 300, 500, 700, 1000]
#: of the diagnostics, those that are 1 where errors are what was assumed
RIGHT_AT_ONE = ("consistency", "background_over_expected", "observation_error_ratio", "background_error_ratio")


def looks(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """A colour, and beyond their number another kind of line, for every name."""
    styles = [{"color": colour, "linestyle": style} for style in ("-", "--", ":") for colour in PALETTE]
    return dict(zip(names, cycle(styles), strict=False))


def diagnostics_over_time(paths: Paths, table: pd.DataFrame) -> None:
    """Draw quantities of `diagnostics.diagnose` over time, one panel per quantity and one line per experiment."""
    shown = [name for name in OVER_TIME if table[name].notna().any()]
    rows = -(-len(shown) // 3)
    figure, axes = plt.subplots(rows, 3, figsize=(15, 2.9 * rows), layout="constrained", sharex=True, squeeze=False)
    names = list(table.experiment.unique())
    lines = looks(names)
    times = pd.to_datetime(table.valid_time, format="%Y-%m-%dT%H")
    for axis, quantity in zip(axes.flat, shown, strict=False):
        for name in names:
            own = table.experiment == name
            if table[quantity][own].notna().any():
                axis.plot(times[own], table[quantity][own], linewidth=1.3, **lines[name])
        if quantity in RIGHT_AT_ONE:
            axis.axhline(1.0, color="grey", linewidth=0.8, linestyle=":")
        if OVER_TIME[quantity]:
            axis.set_yscale("log")
        axis.set_title(QUANTITIES[quantity], fontsize=9)
        axis.tick_params(labelsize=8, which="both", labelbottom=axis in axes.flat[len(shown) - 3 :])
        time_axis(axis, 8)
    for axis in axes.flat[len(shown) :]:
        axis.set_axis_off()
    _legend(figure, lines)
    save(figure, *paths)


def departures(paths: Paths, fits: pd.DataFrame) -> None:
    """Draw profiles of departures, and of estimated over assumed errors, for used data, one column per variable.

    Parameters
    ----------
    fits : DataFrame
        From `observation_fit.fit`, with a column experiment; all report types are pooled.
    """
    used = fits[fits.status == "used"]
    variables = [name for name in UPPER_AIR if (used.variable == name).any()] or list(used.variable.unique())
    names = list(used.experiment.unique())
    lines = looks(names)
    figure, axes = plt.subplots(
        3, max(1, len(variables)), figsize=(15, 9.5), layout="constrained", sharey=True, sharex="row", squeeze=False
    )
    for column, variable in zip(axes.T, variables, strict=False):
        for name in names:
            own = used[(used.experiment == name) & (used.variable == variable)]
            profile = _pooled(own, ["background_over_error", "analysis_over_error"])
            _profile(column[0], profile.background_over_error, lines[name])
            _profile(column[0], profile.analysis_over_error, {**lines[name], "alpha": 0.45})
            squares = _pooled(own, ["observation_error", "estimated_observation_error"])
            _profile(column[1], squares.estimated_observation_error / squares.observation_error, lines[name])
            squares = _pooled(own, ["background_error", "estimated_background_error"])
            _profile(column[2], squares.estimated_background_error / squares.background_error, lines[name])
        column[0].set_title(variable, fontsize=10)
    labels = (
        "rms of O - B (full) and O - A (pale)\nover the assumed observation error",
        "Desroziers' observation error\nover the assumed one",
        "Desroziers' background error\nover the assumed one",
    )
    for row, label in zip(axes, labels, strict=True):
        row[0].set_ylabel("hPa")
        for axis in row:
            axis.axvline(1.0, color="grey", linewidth=0.8, linestyle=":")
            axis.set_xlabel(label, fontsize=8)
            with_levels(axis)
            axis.tick_params(labelsize=8)
    _legend(figure, lines)
    save(figure, *paths)


def spectra(paths: Paths, table: pd.DataFrame, references: Mapping[str, str]) -> None:
    """Draw power spectra of z500, u500, t850 and q700: errors, increments, and the ratio of errors to the references'.

    Parameters
    ----------
    table : DataFrame
        Of `spectra.pooled`, replicates together.
    references : mapping
        Experiment -> the one that it is compared with.
    """
    channels = [channel for channel in CHANNELS if channel.name in ("z500", "u500", "t850", "q700")]
    compared = {*references, *references.values()}
    lines = looks([name for name in table.experiment.unique() if name in compared])
    figure, axes = plt.subplots(3, len(channels), figsize=(15, 10), layout="constrained", sharex=True)
    for column, channel in zip(axes.T, channels, strict=True):
        own = table[(table.variable == channel.variable) & (table.level == channel.level) & (table.wavenumber > 0)]
        power = own.pivot_table(index="wavenumber", columns=["experiment", "kind", "lead_hours"], values="power")
        truth = power.xs("truth", axis=1, level="kind").mean(axis=1)
        power = power[truth > NEGLIGIBLE * truth.max()]  # beyond the truncation there is rounding alone
        truth = truth[power.index]
        for axis in column[:2]:
            axis.plot(truth, color="grey", linewidth=2.5, alpha=0.4)
        for name, look in lines.items():
            column[0].plot(power[name, "analysis_error", 0], linewidth=1.2, **look)
            column[1].plot(power[name, "increment", 0], linewidth=1.2, **look)
            if name in references:
                both = [power[each, "analysis_error", 0] for each in (name, references[name])]
                column[2].plot(100.0 * ((both[0] / both[1]) ** 0.5 - 1.0), linewidth=1.2, **look)
        for axis in column[:2]:
            axis.set_yscale("log")
        column[0].set_title(channel.name, fontsize=10)
        column[2].axhline(0.0, color="grey", linewidth=0.8, linestyle=":")
        column[2].set(ylim=(-35, 35), xscale="log", xlabel="total wavenumber")
        for axis, label in zip(column, ("analysis errors", "increments"), strict=False):
            axis.set_ylabel(f"{label}, {_squared(channel.units)}", fontsize=8)
    axes[2, 0].set_ylabel("analysis error over the reference's, %", fontsize=8)
    for axis in axes.flat:
        axis.tick_params(labelsize=8)
    lines["truth"] = {"color": "grey", "linewidth": 2.5, "alpha": 0.4}
    _legend(figure, lines)
    save(figure, *paths)


def _squared(units: str) -> str:
    return f"({units})²"


def relative_errors(
    paths: Paths,
    scores: pd.DataFrame,
    comparison: pd.DataFrame,
    references: Mapping[str, str],
    first: Mapping[str, str],
) -> pd.DataFrame:
    """Draw the analysis RMSE relative to the references over time and, at the right, its mean with a 95 % interval.

    Parameters
    ----------
    scores : DataFrame
        With the columns of `score.COLUMNS`; means over replicates are drawn.
    comparison : DataFrame
        Of `significance.compare`.
    references : mapping
        Experiment -> the one that it is compared with.
    first : mapping
        Experiment -> first scored cycle, as ``20220131T18``.

    Returns
    -------
    DataFrame
        The values drawn: experiment, reference, channel, valid_time, percent; no rows without references.
    """
    errors = analysis_rmse(scores).pivot_table(index="valid_time", columns=["experiment", "channel"], values="value")
    lines = looks(list(references))
    figure, axes = plt.subplots(2, 3, figsize=(15, 7), layout="constrained", sharex=True)
    drawn = []
    for axis, channel in zip(axes.flat, RELATIVE, strict=True):
        largest = 1.0
        for index, (name, reference) in enumerate(references.items()):
            ratio = (100.0 * (errors[name, channel] / errors[reference, channel] - 1.0)).dropna()
            times = pd.to_datetime(ratio.index, format="%Y-%m-%dT%H")
            axis.plot(times, ratio, linewidth=1.0, **lines[name])
            largest = max(largest, ratio.abs().max())
            about = {"experiment": name, "reference": reference, "channel": channel}
            drawn.append(pd.DataFrame({"valid_time": ratio.index, "percent": ratio.to_numpy()}).assign(**about))
            pair = comparison[(comparison.experiment == name) & (comparison.reference == reference)]
            pair = pair[channel_of(pair) == channel]
            for mean in pair.itertuples():
                place = times[-1] + pd.Timedelta(hours=9 + 6 * index)
                axis.plot([place, place], [mean.percent_low, mean.percent_high], linewidth=2.2, **lines[name])
                axis.plot([place], [mean.percent], "o", markersize=5, color=lines[name]["color"])
        for start in set(first.values()):
            axis.axvline(pd.to_datetime(start, format="%Y%m%dT%H"), color="grey", linewidth=0.7, linestyle=":")
        axis.axhline(0.0, color="grey", linewidth=0.8)
        axis.set_ylim(*np.clip(axis.get_ylim(), -CUT * largest, CUT * largest))
        axis.set_ylabel(f"{channel}: RMSE, %", fontsize=9)
        axis.tick_params(labelsize=8)
        time_axis(axis, 8)
    _legend(figure, _of_pairs(lines, references))
    save(figure, *paths)
    columns = ["experiment", "reference", "channel", "valid_time", "percent"]
    return pd.concat(drawn, ignore_index=True)[columns] if drawn else pd.DataFrame(columns=columns)


def profiles(paths: Paths, comparison: pd.DataFrame, references: Mapping[str, str]) -> None:
    """Draw differences of the analysis RMSE by height, in percent of the references', with 95 % intervals.

    Parameters
    ----------
    comparison : DataFrame
        Of `significance.compare`.
    references : mapping
        Experiment -> the one that it is compared with.
    """
    lines = looks(list(references))
    figure, axes = plt.subplots(1, len(UPPER_AIR), figsize=(15, 5.2), layout="constrained", sharey=True)
    for axis, variable in zip(axes, UPPER_AIR, strict=True):
        largest = 1.0
        for name, reference in references.items():
            own = comparison[(comparison.experiment == name) & (comparison.reference == reference)]
            own = own[own.variable == variable].sort_values("level")
            axis.plot(own.percent, own.level, ".-", markersize=4, linewidth=1.3, **lines[name])
            largest = max(largest, own.percent.abs().max())
            limits = own.percent_low, own.percent_high
            axis.fill_betweenx(own.level.astype(float), *limits, color=lines[name]["color"], alpha=0.12, linewidth=0)
        axis.axvline(0.0, color="grey", linewidth=0.8)
        axis.set_xlim(*np.clip(axis.get_xlim(), -CUT * largest, CUT * largest))
        axis.set_title(variable)
        with_levels(axis)
        axis.set_xlabel("analysis RMSE, % of the reference's", fontsize=8)
        axis.tick_params(labelsize=8)
    axes[0].set_ylabel("hPa")
    _legend(figure, _of_pairs(lines, references))
    save(figure, *paths)


def ensembles(paths: Paths, scores: pd.DataFrame, ranks: pd.DataFrame) -> None:
    """Draw spread over error by height, and rank histograms, for the whole globe.

    Parameters
    ----------
    scores, ranks : DataFrame
        Of `ensemble_scores.EnsembleScores`, with a column experiment; means over replicates are drawn.
    """
    lines = looks(list(scores.experiment.unique()))
    figure, axes = plt.subplots(2, len(UPPER_AIR), figsize=(15, 7.5), layout="constrained", sharey="row")
    everywhere = scores[scores.region == "global"].groupby(["experiment", "variable", "level"]).mean(numeric_only=True)
    whole = ranks[ranks.region == "global"]
    shares = whole.assign(channel=channel_of(whole)).groupby(["experiment", "channel", "rank"]).share.mean()
    for (upper, lower), variable, channel in zip(axes.T, UPPER_AIR, RANKED, strict=True):
        for name, look in lines.items():
            _profile(upper, everywhere.spread_over_error[name, variable], look)
            own = shares[name, channel]
            lower.step(
                np.arange(len(own) + 1) / len(own), np.append(own, own.iloc[-1]) * len(own), where="post", **look
            )
        upper.axvline(1.0, color="grey", linewidth=0.8, linestyle=":")
        upper.set_title(variable)
        with_levels(upper)
        upper.set_xlabel("spread over error", fontsize=8)
        lower.axhline(1.0, color="grey", linewidth=0.8, linestyle=":")
        lower.set(yscale="log", title=channel)
        lower.set_xlabel("rank of the truth, from lowest to highest", fontsize=8)
    axes[0, 0].set_ylabel("hPa")
    axes[1, 0].set_ylabel("share over that of equal ranks", fontsize=8)
    for axis in axes.flat:
        axis.tick_params(labelsize=8)
    _legend(figure, lines)
    save(figure, *paths)


def _pooled(fits: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Root mean squares over types of reports by level, weighted by the number of data."""
    rows = fits[fits.level > 0]
    squares = rows[columns].pow(2).mul(rows["count"], axis=0).groupby(rows.level).sum(min_count=1)
    return (squares.div(rows.groupby("level")["count"].sum(), axis=0) ** 0.5).reindex(LEVELS)


def learning(paths: Paths, curves: Mapping[str, pd.DataFrame]) -> None:
    """Draw the losses of trainings by update, one panel each, from `networks.training.Course.table` by name."""
    columns = min(3, len(curves))
    rows = -(-len(curves) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(5 * columns, 3.4 * rows), layout="constrained", squeeze=False)
    for axis, (name, table) in zip(axes.flat, curves.items(), strict=False):
        looks_at = table.dropna(subset="validation_loss")
        axis.plot(table["update"], table.loss, color=PALETTE[0], linewidth=1.2, label="training")
        axis.plot(looks_at["update"], looks_at.validation_loss, ".-", color=PALETTE[1], label="held out")
        axis.set(title=name, xlabel="update", ylabel="loss")
        losses = pd.concat([table.loss, looks_at.validation_loss])
        if losses.min() > 0 and losses.max() > WIDE * losses.min():
            axis.set_yscale("log")
        axis.tick_params(labelsize=8)
        axis.legend(fontsize=8)
    for axis in axes.flat[len(curves) :]:
        axis.remove()
    save(figure, *paths)


def _profile(axis: Axes, values: pd.Series, look: dict[str, Any]) -> None:
    axis.plot(values, values.index, ".-", markersize=3, linewidth=1.2, **look)


def with_levels(axis: Axes) -> None:
    """Make the vertical axis one of pressure, in hPa, that rises upwards."""
    axis.set(yscale="log", ylim=(1.1 * LEVELS[-1], 0.9 * LEVELS[0]))
    axis.set_yticks(MARKED_LEVELS, [str(level) for level in MARKED_LEVELS])
    axis.minorticks_off()


def _of_pairs(lines: Mapping[str, dict[str, Any]], references: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The lines of experiments, named with what each is compared with."""
    return {f"{name} / {reference}": lines[name] for name, reference in references.items()}


def _legend(figure: plt.Figure, lines: dict[str, dict[str, Any]]) -> None:
    handles = [Line2D([], [], **look) for look in lines.values()]
    figure.legend(handles, list(lines), loc="outside upper center", ncols=min(6, max(1, len(lines))), fontsize=9)
