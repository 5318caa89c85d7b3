"""Figures of the report, as PNG and SVG files whose bytes depend only on the data."""

from collections.abc import Sequence
from datetime import datetime
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, QuadMesh
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize, TwoSlopeNorm
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator
from matplotlib.transforms import Bbox

from ..analysis.amplitudes import COMMON
from ..fields.grid import Grid
from ..fields.state import CHANNELS, LEVELS, UPPER_AIR, Channel, channel_index
from ..files.atomic import atomic_write
from ..observations.catalogue import CODES, TYPES, at_surface, names_of
from ..observations.table import PASSED, REASONS, Observations
from .learned import BANDS, LOOKED_AT, NMC, SMOOTHED_TO, Comparison
from .observation_fit import nearest_level

#: colours that stay apart for the colour-blind (Okabe and Ito)
PALETTE = ("#000000", "#0072B2", "#E69F00", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#F0E442")
#: of differences: blue below zero, orange above
BLUE_ORANGE = LinearSegmentedColormap.from_list(
    "blue_orange", ["#0b5394", "#9fc5e8", "#ffffff", "#f6b26b", "#b45f06"], N=256
)
#: of `gain_curves`: panels in a row, and how large a difference they show
PANELS_ABREAST = 6
SHOWN_PERCENT = 30.0


#: of files, by their ending: what their bytes would else depend on
_METADATA = {"png": {"Software": "lora-envar"}, "svg": {"Creator": "lora-envar", "Date": None}}

#: digits of the places of axes in a figure, in shares of its size
PLACED_TO = 9

# names of the elements of an SVG are random unless this is set
matplotlib.rcParams["svg.hashsalt"] = "lora-envar"


def save(figure: Figure, *paths: str | Path) -> None:
    """Write a figure as PNG or SVG, by the endings of the paths."""
    if figure.get_layout_engine() is not None:
        figure.draw_without_rendering()  # lays it out, which need not be done for each format
        figure.set_layout_engine("none")
        for axes in figure.axes:
            # the solver of layouts goes through its equations in the order of addresses: its last digits are chance
            axes.set_position(Bbox(axes.get_position(original=True).get_points().round(PLACED_TO)))
    for path in paths:
        kind = str(path).rpartition(".")[2]
        with atomic_write(path) as temporary:
            figure.savefig(temporary, format=kind, dpi=110, metadata=_METADATA[kind])
    plt.close(figure)


def time_axis(axis: Axes, size: int) -> None:
    """Label the abscissa with dates that are short enough for a small panel: days, and the month where it changes."""
    locator = AutoDateLocator(maxticks=8)
    axis.xaxis.set_major_locator(locator)
    axis.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axis.tick_params(labelsize=size, axis="x")
    axis.xaxis.get_offset_text().set_fontsize(size)


def maps(
    paths: Sequence[str | Path],
    experiment: str,
    time: datetime,
    grid: Grid,
    truth: np.ndarray,
    background: np.ndarray,
    analysis: np.ndarray,
    stations: np.ndarray,
    coastline: pd.DataFrame,
) -> None:
    """Draw truth, background error, increment and analysis error of z500, t850 and u500.

    Parameters
    ----------
    paths : sequence of paths
        Of the figure, one per format.
    experiment : str
    time : datetime
        Both for the title.
    grid : Grid
    truth, background, analysis : (69, lat, lon)
    stations : (n, 2)
        Longitude and latitude of the observed columns.
    coastline : DataFrame
        line, longitude, latitude.
    """
    channels = ("z500", "t850", "u500")
    titles = ("truth", "background minus truth", "increment: analysis minus background", "analysis minus truth")
    figure, axes = plt.subplots(len(channels), 4, figsize=(18, 8.2), layout="constrained", sharex=True, sharey=True)
    for row, name in zip(axes, channels, strict=True):
        index = channel_index(name)
        fields = [truth[index], (background - truth)[index], (analysis - background)[index], (analysis - truth)[index]]
        limit = max(float(np.quantile(np.abs(field), 0.995)) for field in fields[1:])
        for axis, field, title in zip(row, fields, titles, strict=True):
            whole_field = title == "truth"
            norm = Normalize(field.min(), field.max()) if whole_field else TwoSlopeNorm(0.0, -limit, limit)
            image = world_map(axis, grid, field, norm, coastline, "viridis" if whole_field else BLUE_ORANGE)
            error = "" if whole_field else f", rms {grid.mean(field.astype(float) ** 2) ** 0.5:.3g}"
            axis.set_title(f"{name}: {title}{error}", fontsize=9)
            figure.colorbar(image, ax=axis, shrink=0.8, label=CHANNELS[index].units)
    place = np.stack([(stations[:, 0] + 180.0) % 360.0 - 180.0, stations[:, 1]], axis=1)
    for axis in axes[:, 2]:
        axis.plot(place[:, 0], place[:, 1], ".", color="black", markersize=1.2)
    figure.suptitle(f"{experiment}, {time:%Y-%m-%d %H} UTC; dots: observed columns", fontsize=11)
    save(figure, *paths)


def world_map(
    axis: Axes,
    grid: Grid,
    field: np.ndarray,
    norm: Normalize | None,
    coastline: pd.DataFrame,
    colours: str | Colormap = "viridis",
) -> QuadMesh:
    """Draw a field, (lat, lon), with coastlines."""
    order = np.argsort((grid.longitude + 180) % 360)
    longitude = (grid.longitude[order] + 180) % 360 - 180
    image = axis.pcolormesh(longitude, grid.latitude, field[:, order], norm=norm, cmap=colours, rasterized=True)
    _world(axis, coastline)
    return image


def state_map(
    path: str | Path, title: str, grid: Grid, field: np.ndarray, channel: Channel, coastline: pd.DataFrame
) -> None:
    """Draw one channel of a state, (lat, lon), as a map."""
    figure, axis = plt.subplots(figsize=(9, 4.6), layout="constrained")
    image = world_map(axis, grid, field, None, coastline)
    figure.colorbar(image, ax=axis, shrink=0.8, label=channel.units)
    axis.set_title(title, fontsize=10)
    save(figure, path)


def observation_maps(path: str | Path, title: str, table: Observations, coastline: pd.DataFrame) -> None:
    """Draw where used, withheld and rejected data lie and, after an analysis, O - B of the former two by level."""
    passed = np.isin(table.rejection, PASSED)
    judged = passed & np.isfinite(table.observation_minus_background) & ~at_surface(table.variable)
    panels: dict[str, Any] = {"figsize": (10, 4.8)}
    if judged.any():
        panels = {"ncols": 2, "figsize": (14, 4.8), "width_ratios": [2.4, 1]}
    figure, axes = plt.subplots(layout="constrained", squeeze=False, **panels)
    places = axes[0, 0]
    longitude = (table.longitude + 180.0) % 360.0 - 180.0
    used = table.rejection == REASONS["used"]
    withheld = table.rejection == REASONS["withheld"]
    groups = {"rejected": ~(used | withheld), "used": used, "withheld": withheld}
    for colour, (name, rows) in zip((PALETTE[3], PALETTE[1], PALETTE[2]), groups.items(), strict=True):
        label = f"{name}: {rows.sum()} data"
        places.plot(longitude[rows], table.latitude[rows], ".", color=colour, markersize=2, label=label)
    _world(places, coastline)
    places.legend(fontsize=8, loc="lower left", markerscale=5)
    for profile in axes[0, 1:]:
        _departure_profile(profile, table, judged)
    figure.suptitle(title, fontsize=11)
    save(figure, path)


def _departure_profile(profile: Axes, table: Observations, judged: np.ndarray) -> None:
    """Root mean square of O - B over the observation error by level."""
    present = set(names_of(table.variable[judged]))
    others = [name for name in TYPES if name in present and name not in UPPER_AIR]
    for colour, name in zip(cycle(PALETTE[1:]), (*UPPER_AIR, *others), strict=False):
        rows = (table.variable == CODES[name]) & judged
        squares = (table.observation_minus_background[rows] / table.error[rows]) ** 2
        rms = pd.Series(squares).groupby(nearest_level(table.pressure[rows])).mean().reindex(LEVELS) ** 0.5
        profile.plot(rms, LEVELS, ".-", color=colour, label=name)
    profile.set(xlabel="root mean square of O - B over the observation error", ylabel="hPa", yscale="log")
    profile.invert_yaxis()
    profile.legend(fontsize=8)


def deviation_profile(path: str | Path, title: str, deviation: np.ndarray) -> None:
    """Draw the standard deviation per channel, (69,), of the upper-air variables by level."""
    figure, axes = plt.subplots(1, len(UPPER_AIR), figsize=(14, 4), layout="constrained", sharey=True)
    for axis, name in zip(axes, UPPER_AIR, strict=True):
        rows = [index for index, channel in enumerate(CHANNELS) if channel.variable == name]
        axis.plot(deviation[rows], LEVELS, ".-", color=PALETTE[1])
        axis.set(xlabel=f"{name}, {CHANNELS[rows[0]].units}", yscale="log")
    axes[0].set_ylabel("hPa")
    axes[0].invert_yaxis()
    figure.suptitle(title, fontsize=11)
    save(figure, path)


def _world(axis: Axes, coastline: pd.DataFrame) -> None:
    """Draw coastlines, and set the limits to the whole world."""
    ends = np.flatnonzero(np.diff(coastline["line"])) + 1
    lines = np.split(coastline[["longitude", "latitude"]].to_numpy(), ends)
    axis.add_collection(LineCollection(lines, colors="black", linewidths=0.4), autolim=False)
    axis.set(xlim=(-180, 180), ylim=(-90, 90), xticks=range(-180, 181, 60), yticks=range(-90, 91, 30))
    axis.tick_params(labelsize=7)


def amplitude_curves(paths: Sequence[str | Path], table: pd.DataFrame) -> None:
    """Draw the variances of the parts of background errors over time, one panel per experiment."""
    experiments = list(table.experiment.unique())
    rows = -(-len(experiments) // 3)
    columns = min(3, len(experiments))
    figure, axes = plt.subplots(
        rows, columns, figsize=(5 * columns, 3.2 * rows), layout="constrained", sharey=True, squeeze=False
    )
    parts = [part for part in table.part.unique() if part != COMMON]
    looks: dict[str, dict[str, Any]] = {
        part: {"color": colour} for part, colour in zip(parts, cycle(PALETTE), strict=False)
    }
    looks[COMMON] = {"color": "grey", "linestyle": "--"}
    for axis, experiment in zip(axes.flat, experiments, strict=False):
        own = table[table.experiment == experiment]
        for part, course in own.groupby("part", sort=False):
            times = pd.to_datetime(course.valid_time, format="%Y-%m-%dT%H")
            axis.plot(times, course.variance, linewidth=1.3, **looks[part])
        axis.axhline(1.0, color="grey", linewidth=0.7, linestyle=":")
        axis.set(yscale="log", ylabel="variance over what was fitted")
        axis.set_title(experiment, fontsize=10)
        time_axis(axis, 7)
    lines = [Line2D([], [], **look) for look in looks.values()]
    figure.legend(lines, list(looks), loc="outside upper center", ncols=min(8, len(looks)), fontsize=8)
    for axis in axes.flat[len(experiments) :]:
        axis.set_axis_off()
    save(figure, *paths)


def gain_curves(path: str | Path, table: pd.DataFrame, points: int) -> None:
    """Draw scores relative to references by the share of observed points, see `study`.

    There is one panel per reference and family, and one line per world; arrows mark values beyond `SHOWN_PERCENT`.
    """
    colours = dict(zip(table.world.unique(), cycle(PALETTE[1:]), strict=False))
    panels: list[tuple[str, str] | None] = []
    for reference, own in table.groupby("reference", sort=False):
        panels += [(reference, family) for family in own.family.unique()]
        panels += [None] * (-len(panels) % PANELS_ABREAST)
    rows = len(panels) // PANELS_ABREAST
    densities = 100.0 * np.sort(table["columns"].unique()) / points
    figure, axes = plt.subplots(
        rows,
        PANELS_ABREAST,
        figsize=(2.6 * PANELS_ABREAST, 2.4 * rows),
        layout="constrained",
        sharex=True,
        sharey=True,
        squeeze=False,
    )
    for axis, panel in zip(axes.flat, panels, strict=True):
        if panel is None:
            axis.set_axis_off()
            continue
        chosen = table[(table.reference == panel[0]) & (table.family == panel[1])]
        for index, (world, colour) in enumerate(colours.items()):
            own = chosen[chosen.world == world].sort_values("columns")
            share = 100.0 * own["columns"] / points * (1.0 + 0.06 * (index - 1))  # so that intervals stay apart
            inside = own[["percent", "percent_low", "percent_high"]].clip(-SHOWN_PERCENT, SHOWN_PERCENT)
            axis.vlines(share, inside.percent_low, inside.percent_high, color=colour, linewidth=1.2)
            axis.plot(share, inside.percent, "o-", color=colour, markersize=3.5, linewidth=1.0)
            for beyond, marker in ((own.percent > SHOWN_PERCENT, "^"), (own.percent < -SHOWN_PERCENT, "v")):
                axis.plot(share[beyond], inside.percent[beyond], marker, color=colour, markersize=6)
        axis.axhline(0.0, color="grey", linewidth=0.8)
        axis.set(xscale="log", ylim=(-1.07 * SHOWN_PERCENT, 1.07 * SHOWN_PERCENT))
        axis.set_xticks(densities, [f"{density:.2g}" for density in densities])
        axis.xaxis.set_minor_locator(NullLocator())
        axis.set_title(f"{panel[1]}\nagainst {panel[0]}", fontsize=8)
        axis.tick_params(labelsize=8)
    for axis in axes[:, 0]:
        axis.set_ylabel("RMSE, %", fontsize=8)
    for axis in axes[-1]:
        axis.set_xlabel("observed points, %", fontsize=8)
    lines = [Line2D([], [], color=colour, marker="o") for colour in colours.values()]
    figure.legend(lines, list(colours), fontsize=9, loc="outside upper center", ncols=len(lines))
    save(figure, path)


def learned_errors(paths: Sequence[str | Path], comparisons: list[Comparison], coastline: pd.DataFrame) -> None:
    """Draw the standard deviation of samples and errors by latitude and as maps, one row per background error.

    Parameters
    ----------
    comparisons : list of Comparison
        In the order of their background errors, each with the held-out errors first.
    coastline : DataFrame
        line, longitude, latitude.
    """
    models: dict[str, list[Comparison]] = {}
    for comparison in comparisons:
        models.setdefault(comparison.model, []).append(comparison)
    mapped = ("z500", "t850")
    depth = 2 if any(len(own) > 1 for own in models.values()) else 1  # rows of maps of a channel
    heights = [2.4 * len(models), 2.2 * depth * len(mapped)]
    figure = plt.figure(figsize=(16, sum(heights)), layout="constrained")
    upper, lower = figure.subfigures(2, 1, squeeze=False, height_ratios=heights)[:, 0]
    panels = upper.subplots(len(models), len(LOOKED_AT), sharex=True, sharey=True, squeeze=False)
    for row, own in zip(panels, models.values(), strict=True):
        _profiles(row, own)
    for axis in panels[-1]:
        axis.set_xlabel("latitude", fontsize=8)
        axis.set_ylim(bottom=0.0)
    axes = lower.subplots(depth * len(mapped), 1 + len(models), sharex=True, sharey=True, squeeze=False)
    first = next(iter(models.values()))[0]
    for place, name in enumerate(mapped):
        rows = axes[depth * place : depth * (place + 1)]
        shown = {(0, 0): ("held-out errors", first.errors)}
        for column, (model, own) in enumerate(models.items(), start=1):
            shown[0, column] = (model, own[0].samples)
            if len(own) > 1:
                shown[1, column] = (f"cycles of {own[1].against}", own[1].errors)
        index = LOOKED_AT.index(name)
        limit = max(each.deviation_map[index].max().item() for _, each in shown.values())
        for cell, axis in np.ndenumerate(rows):
            if cell not in shown:
                axis.set_axis_off()
                continue
            title, found = shown[cell]
            image = world_map(axis, found.grid, found.deviation_map[index].numpy(), Normalize(0.0, limit), coastline)
            axis.set_title(f"{name}: {title}", fontsize=9)
        label = "standard deviation over the global one"
        lower.colorbar(image, ax=rows.ravel().tolist(), shrink=0.9, label=f"{label},\nsmoothed to T{SMOOTHED_TO}")
    save(figure, *paths)


def _profiles(row: np.ndarray, own: list[Comparison]) -> None:
    """Standard deviation by latitude of the samples of a background error and of what they are compared with."""
    middle = [(south + north) / 2 for south, north in BANDS.values()]
    lines = {own[0].model: (PALETTE[1], own[0].samples)}
    for colour, comparison in zip(cycle((PALETTE[0], *PALETTE[2:])), own, strict=False):
        name = "held-out errors" if comparison.against == NMC else f"cycles of {comparison.against}"
        lines[name] = (colour, comparison.errors)
    for axis, channel in zip(row, LOOKED_AT, strict=True):
        for label, (colour, found) in lines.items():
            values = [found.values["relative_deviation", channel, band] for band in BANDS]
            axis.plot(middle, values, ".-", color=colour, label=label)
        axis.axhline(1.0, color="grey", linewidth=0.7, linestyle=":")
        axis.set(xlim=(-90, 90), xticks=range(-90, 91, 30))
        axis.set_title(channel, fontsize=9)
        axis.tick_params(labelsize=7)
    row[0].set_ylabel(f"{own[0].model}:\nstandard deviation\nover the global one", fontsize=8)
    row[-1].legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
