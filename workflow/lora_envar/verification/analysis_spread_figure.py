"""The figure of the spread around analyses: by latitude and by height compared with the error, and as maps."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D

from ..fields.state import CHANNELS, channel_index
from .analysis_spread import SpreadAndError, table_of
from .curves import looks, with_levels
from .figures import save, world_map
from .learned import SMOOTHED_TO

#: channels that are drawn, a column each
SHOWN = ("z500", "t850", "u500", "q700")
#: ratios of spread over error that are shaded as right
RIGHT = (0.8, 1.25)
#: limits of the axis of these ratios
RATIOS = (0.25, 4.0)


def analysis_spread(paths: Sequence[str | Path], found: Mapping[str, SpreadAndError], coastline: pd.DataFrame) -> None:
    """Draw spread and error by latitude, their ratio by height, and maps of both for the first experiment.

    Parameters
    ----------
    paths : sequence of paths
        Of the figure, one per format.
    found : mapping
        By experiment, of one or more.
    coastline : DataFrame
        line, longitude, latitude.
    """
    lines = looks(list(found))
    table = table_of(dict(found))
    everywhere = table[table.region == "global"].set_index(["experiment", "variable"])
    # places are fixed: a layout that measures every label takes as long as all of the drawing
    margins = {"left": 0.05, "right": 0.985, "top": 0.94, "bottom": 0.045, "wspace": 0.2, "hspace": 0.4}
    rows = {"height_ratios": [1.0, 1.0, 1.0, 1.0, 0.06], **margins}
    figure, axes = plt.subplots(5, len(SHOWN), figsize=(16, 13), gridspec_kw=rows)
    for column, name in zip(axes.T, SHOWN, strict=True):
        _by_latitude(column[0], name, found)
        variable = CHANNELS[channel_index(name)].variable
        for experiment, look in lines.items():
            own = everywhere.loc[(experiment, variable)].sort_values("level")
            column[1].plot(
                own.spread_over_error, own.level.astype(float), marker=".", markersize=4, linewidth=1.3, **look
            )
        _as_ratio(column[1], variable)
    first = next(iter(found))
    for column, name in zip(axes.T, SHOWN, strict=True):
        fields = {kind: found[first].map_of(kind, channel_index(name)) for kind in ("spread", "error")}
        norm = Normalize(0.0, max(values.max() for values in fields.values()))
        for axis, (kind, values) in zip(column[2:4], fields.items(), strict=True):
            image = world_map(axis, found[first].grid, values, norm, coastline)
            axis.set_title(f"{first}: {kind} of {name}", fontsize=9)
        label = f"{CHANNELS[channel_index(name)].units}, squares smoothed to T{SMOOTHED_TO}"
        figure.colorbar(image, cax=column[4], orientation="horizontal").set_label(label, fontsize=8)
    for axis in axes.flat:
        axis.tick_params(labelsize=7)
    for axis in (*axes[2], *axes[3:4, 1:].flat):
        axis.tick_params(labelbottom=axis in axes[3], labelleft=axis in axes[2:4, 0])
    axes[1, 0].set_ylabel("hPa", fontsize=8)
    handles = [Line2D([], [], **look) for look in lines.values()]
    grey = [Line2D([], [], color="grey", linestyle=style) for style in ("-", "--")]
    names = [f"{name}, {own.cycles} {'cycles' if own.cycles > 1 else 'cycle'}" for name, own in found.items()]
    labels = [*names, "spread", "error"]
    figure.legend(handles + grey, labels, loc="upper center", ncols=min(6, len(labels)), fontsize=9)
    save(figure, *paths)


def _by_latitude(axis: Axes, name: str, found: Mapping[str, SpreadAndError]) -> None:
    """Spread, and dashed the error, of one channel."""
    index = channel_index(name)
    for look, own in zip(looks(list(found)).values(), found.values(), strict=True):
        for kind, style in (("spread", "-"), ("error", "--")):
            values = own.by_latitude(kind)[index]
            axis.plot(own.grid.latitude, values, color=look["color"], linestyle=style, linewidth=1.2)
    axis.set(xlim=(-90, 90), xticks=range(-90, 91, 30), title=name)
    axis.set_ylim(bottom=0.0)
    axis.ticklabel_format(axis="y", scilimits=(-3, 4))  # labels of small numbers else reach into the panel beside
    axis.set_xlabel("latitude", fontsize=8)
    axis.set_ylabel(CHANNELS[index].units, fontsize=8)


def _as_ratio(axis: Axes, variable: str) -> None:
    """Axes of a ratio with height."""
    axis.axvspan(*RIGHT, color="grey", alpha=0.2, linewidth=0)
    axis.axvline(1.0, color="grey", linewidth=0.8)
    axis.set(xscale="log", xlim=RATIOS, title=variable)
    ticks = [0.25, 0.5, 0.8, 1.25, 2, 4]
    axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    with_levels(axis)
    axis.set_xlabel("spread over error", fontsize=8)
