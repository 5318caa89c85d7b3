"""Figures of increments of single observations: one column per experiment, each with a map and two sections."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from ..analysis.increments import Increments
from ..fields.grid import Grid
from ..fields.state import LEVELS, VARIABLES, channel_index
from ..observations.single import SingleObservation
from .figures import BLUE_ORANGE, save

#: experiments in a row of the figure
ABREAST = 6
#: width and height of a panel with its margins, in inches
PANEL = (2.7, 2.1)
#: degrees of longitude and latitude that are shown on either side of an observation
WIDTH = 60.0
HEIGHT = 40.0
#: most arrows across a map
ARROWS = 24
#: share of the largest geopotential at which lines of it are drawn in sections
LINES = (0.1, 0.3, 0.5, 0.7, 0.9)

Limits = dict[str, float]


def single_observation(
    paths: Sequence[str | Path], increments: Increments, number: int, time: int, coastline: pd.DataFrame
) -> None:
    """Draw the increments of one observation at one time in all experiments.

    Maps show geopotential and wind at the level of the observation, sections along its meridian zonal wind, and
    temperature, with contours of geopotential. All experiments and times share the scales of colours and arrows.

    Parameters
    ----------
    paths : sequence of paths
        Of the figure, one per format.
    increments : Increments
    number, time : int
        Which observation and which time of these.
    coastline : DataFrame
        line, longitude, latitude.
    """
    observation = increments.observations[number]
    near = Neighbourhood(increments.grid, observation)
    limits = near.limits(increments.fields[:, number])
    names = increments.experiments
    blocks = [range(first, min(first + ABREAST, len(names))) for first in range(0, len(names), ABREAST)]
    figure = plt.figure(figsize=(PANEL[0] * len(blocks[0]) + 2.1, PANEL[1] * 3 * len(blocks) + 0.8))
    for axes, block in zip(_panels(figure, len(blocks), len(blocks[0])), blocks, strict=True):
        for column, experiment in zip(axes.T[:-1], block, strict=False):
            here = experiment, number, time
            said = f"{observation.what} {increments.at_observation[here]:+.3g} {observation.units} at the cross"
            reduction = increments.gradient_reduction[here]
            if np.isfinite(reduction):
                said += f"\ngradient fell to {100 * reduction:.2g} %"
            column[0].set_title(f"{names[experiment]}\n{said}", fontsize=9)
            near.draw(column, increments.fields[here], limits, coastline)
        for axis in axes[:, len(block) : -1].flat:
            axis.set_axis_off()
        _label(figure, axes, near, limits)
    departure = increments.departure[:, number, time]
    span = " to ".join(f"{value:+.3g}" for value in sorted({departure.min(), departure.max()}))
    figure.suptitle(
        f"Increments of {observation.what} at {observation.where}, O - B = {span} {observation.units}, "
        f"{increments.times[time]:%Y-%m-%d %H} UTC",
        fontsize=11,
        y=1 - 0.08 / figure.get_figheight(),
        verticalalignment="top",
    )
    save(figure, *paths)


def _panels(figure: Figure, blocks: int, columns: int) -> list[np.ndarray]:
    """Axes of each block of experiments, (3, columns + 1), the last column for the scales of colours.

    Their places are fixed: a layout that measures every label takes as long as all of the drawing.
    """
    width = figure.get_figwidth()
    height = figure.get_figheight()
    block_height = (height - 0.3) / blocks
    panels = []
    for block in range(blocks):
        top = height - 0.3 - block * block_height
        grid = figure.add_gridspec(
            3,
            columns + 1,
            width_ratios=[*[1.0] * columns, 0.05],
            left=0.6 / width,
            right=1 - 1.1 / width,
            top=(top - 0.55) / height,
            bottom=(top - block_height + 0.45) / height,
            wspace=0.06,
            hspace=0.14,
        )
        axes = np.empty((3, columns + 1), dtype=object)
        for row, column in np.ndindex(axes.shape):
            axis = figure.add_subplot(grid[row, column])
            # what is not drawn costs no time: ticks are most of it
            axis.xaxis.set_visible(row != 1 and column < columns)
            axis.yaxis.set_visible(column in (0, columns))
            axes[row, column] = axis
        panels.append(axes)
    return panels


class Neighbourhood:
    """The part of a grid around an observation, and how it is drawn.

    Attributes
    ----------
    longitude : (columns,)
        Of the points that are shown, east of the observation, in degrees, ascending.
    latitude : (rows,)

    Parameters
    ----------
    grid : Grid
    observation : SingleObservation
    """

    def __init__(self, grid: Grid, observation: SingleObservation) -> None:
        self.observation = observation
        relative = (grid.longitude - observation.longitude + 180.0) % 360.0 - 180.0
        order = np.argsort(relative)
        # to the edges, and a point beyond
        self._columns = order[np.abs(relative[order]) <= WIDTH + 360.0 / grid.nlon]
        self.longitude = relative[self._columns]
        self._rows = np.flatnonzero(np.abs(grid.latitude - observation.latitude) <= HEIGHT + 180.0 / grid.nlat)
        self.latitude = grid.latitude[self._rows]
        self._meridian = int(np.abs(relative).argmin())
        level = observation.level
        self._map = {name: channel_index(f"{name}{level}") for name in ("z", "u", "v")}
        self._section = {name: [channel_index(f"{name}{each}") for each in LEVELS] for name in ("z", "u", "t")}

    def map_of(self, name: str, field: np.ndarray) -> np.ndarray:
        """A variable at the level of the observation, (..., rows, columns), of (..., 69, lat, lon)."""
        return field[..., self._map[name], :, :][..., self._rows[:, None], self._columns]

    def section_of(self, name: str, field: np.ndarray) -> np.ndarray:
        """A variable along the meridian, (..., levels, rows), of (..., 69, lat, lon)."""
        return field[..., self._section[name], :, :][..., self._rows, self._meridian]

    def limits(self, fields: np.ndarray) -> Limits:
        """The largest sizes of what is drawn, of (..., 69, lat, lon)."""
        found = {
            "map": self.map_of("z", fields),
            "wind": np.hypot(self.map_of("u", fields), self.map_of("v", fields)),
            **{name: self.section_of(name, fields) for name in self._section},
        }
        return {name: float(np.abs(values).max()) or 1.0 for name, values in found.items()}

    def draw(self, column: np.ndarray, field: np.ndarray, limits: Limits, coastline: pd.DataFrame) -> None:
        """Draw the map and the two sections of an increment, (69, lat, lon), into three axes."""
        self._draw_map(column[0], field, limits, coastline)
        for axis, name in zip(column[1:], ("u", "t"), strict=True):
            self._draw_section(axis, name, field, limits)

    def _draw_map(self, axis: Axes, field: np.ndarray, limits: Limits, coastline: pd.DataFrame) -> None:
        norm = Normalize(-limits["map"], limits["map"])
        axis.pcolormesh(
            self.longitude, self.latitude, self.map_of("z", field), norm=norm, cmap=BLUE_ORANGE, rasterized=True
        )
        step = max(1, -(-len(self.longitude) // ARROWS))
        axis.quiver(
            self.longitude[::step],
            self.latitude[::step],
            self.map_of("u", field)[::step, ::step],
            self.map_of("v", field)[::step, ::step],
            # the longest arrow is a tenth of the width
            scale=10.0 * limits["wind"],
            scale_units="width",
            width=0.006,
        )
        axis.add_collection(LineCollection(self._coast(coastline), colors="grey", linewidths=0.5), autolim=False)
        axis.plot(0.0, self.observation.latitude, "kx", markersize=5)
        ticks = np.array([-WIDTH / 2, 0.0, WIDTH / 2])
        axis.set(xlim=(-WIDTH, WIDTH), ylim=self._span, xticks=ticks, xticklabels=[self._eastward(x) for x in ticks])
        axis.tick_params(labelsize=7)

    def _draw_section(self, axis: Axes, name: str, field: np.ndarray, limits: Limits) -> None:
        norm = Normalize(-limits[name], limits[name])
        axis.pcolormesh(
            self.latitude,
            LEVELS,
            self.section_of(name, field),
            norm=norm,
            cmap=BLUE_ORANGE,
            rasterized=True,
            shading="nearest",
        )
        levels = limits["z"] * np.array([*(-share for share in reversed(LINES)), *LINES])
        axis.contour(self.latitude, LEVELS, self.section_of("z", field), levels=levels, colors="black", linewidths=0.7)
        axis.plot(self.observation.latitude, self.observation.pressure or LEVELS[-1], "kx", markersize=5)
        axis.set(
            xlim=self._span, yscale="log", ylim=(LEVELS[-1], LEVELS[0]), yticks=(1000, 700, 500, 300, 200, 100, 50)
        )
        axis.yaxis.set_major_formatter("{x:g}")
        axis.minorticks_off()
        axis.tick_params(labelsize=7)

    @property
    def _span(self) -> tuple[float, float]:
        """Southern and northern end of what is shown."""
        return max(-90.0, self.observation.latitude - HEIGHT), min(90.0, self.observation.latitude + HEIGHT)

    def _eastward(self, relative: float) -> str:
        """A longitude as a label."""
        longitude = (relative + self.observation.longitude + 180.0) % 360.0 - 180.0
        return f"{abs(longitude):g}{'E' if longitude >= 0 else 'W'}"

    def _coast(self, coastline: pd.DataFrame) -> list[np.ndarray]:
        """Coastlines by longitude east of the observation, cut where they cross from one side to the other."""
        relative = (coastline["longitude"].to_numpy() - self.observation.longitude + 180.0) % 360.0 - 180.0
        cut = (np.diff(coastline["line"]) != 0) | (np.abs(np.diff(relative)) > 180.0)
        points = np.stack([relative, coastline["latitude"].to_numpy()], axis=1)
        return np.split(points, np.flatnonzero(cut) + 1)


def _label(figure: Figure, axes: np.ndarray, near: Neighbourhood, limits: Limits) -> None:
    """Label axes, and explain colours, lines and arrows beside each row."""
    lines = f"lines: z, 10, 30, ... 90 %\nof {limits['z']:.3g} m2 s-2, dashed < 0"
    meanings = (
        (f"z{near.observation.level}", "z", f"arrows: wind, the\nlongest {limits['wind']:.2g} m s-1"),
        ("u", "u", lines),
        ("t", "t", lines),
    )
    for row, (name, variable, meaning) in zip(axes, meanings, strict=True):
        scale = figure.colorbar(row[0].collections[0], cax=row[-1])
        scale.set_label(f"{name}, {VARIABLES[variable][2]}\n{meaning}", fontsize=8)
        scale.ax.tick_params(labelsize=7)
    axes[0, 0].set_ylabel("latitude", fontsize=8, labelpad=1)
    for axis in axes[1:, 0]:
        axis.set_ylabel(f"hPa, along {near.observation.where.partition(' ')[2]}", fontsize=8, labelpad=1)
    for axis in axes[2, :-1]:
        axis.set_xlabel("latitude", fontsize=8, labelpad=1)
