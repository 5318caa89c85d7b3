"""Scorecards: how two experiments differ, variable by variable, at every lead and in every region."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import Normalize
from matplotlib.patches import Patch

from ..fields.state import CHANNELS
from . import SIGNIFICANCE
from .figures import BLUE_ORANGE, save
from .replicates import grouped
from .score import REGIONS, after_spin_up, channel_of
from .significance import adjusted, compare_series, paired

#: levels of upper-air variables, in hPa; surface variables are all on the card
SHOWN_LEVELS = (250, 500, 850)
SHOWN = [channel.name for channel in CHANNELS if channel.level is None or channel.level in SHOWN_LEVELS]
#: percent at which colours end
LIMIT = 10.0

COLUMNS = [
    "experiment",
    "reference",
    "kind",
    "lead_hours",
    "region",
    "variable",
    "level",
    "percent",
    "percent_low",
    "percent_high",
    "p_value",
    "p_adjusted",
    "n",
    "blocks",
    "seeds",
]


def scorecard(
    scores: pd.DataFrame, experiment: str, reference: str, first: Mapping[str, str], samples: int, seed: int
) -> pd.DataFrame:
    """Compare the RMSE of two experiments after the spin-up, over the valid times that both have.

    Parameters
    ----------
    scores : DataFrame
        With the columns of `score.COLUMNS`, of both.
    experiment, reference : str
        Replicates of each are paired by their seeds.
    first : mapping
        Experiment, replicates by their own names -> first scored cycle, as ``20220131T18``.
    samples, seed : int
        Of the bootstrap.

    Returns
    -------
    DataFrame
        With `COLUMNS`, a row per kind of state (background, analysis, forecast), lead, region and channel of `SHOWN`:
        percent is 100 times the ratio of mean RMSE less 1, with its 95 % interval, see `significance`. p_adjusted is
        over all cells of a kind and lead. What has fewer than two common times is left out.
    """
    rows = scores[(scores.metric == "rmse") & scores.experiment.isin(first)]
    rows = grouped(after_spin_up(rows, dict(first))).assign(channel=channel_of)
    rows = rows[rows.channel.isin(SHOWN)]
    channels = rows.drop_duplicates("channel").set_index("channel")[["variable", "level"]]
    parts = []
    for (kind, lead), own in rows.groupby(["kind", "lead_hours"]):
        wide = own.pivot_table(
            index=["valid_time", "seed"], columns=["experiment", "region", "channel"], values="value"
        )
        if not {experiment, reference} <= set(wide.columns.get_level_values(0)):
            continue
        own_errors, others, seeds = paired(wide, experiment, reference)
        if len(own_errors) < 2:
            continue
        series = own_errors.columns
        found = compare_series(own_errors.to_numpy(), others[series].to_numpy(), samples, seed)
        region = series.get_level_values("region")
        names = channels.loc[series.get_level_values("channel")]
        about = {"experiment": experiment, "reference": reference, "kind": kind, "lead_hours": lead, "seeds": seeds}
        parts.append(found.assign(**about, region=region, variable=names.variable.values, level=names.level.values))
    if not parts:
        return pd.DataFrame(columns=COLUMNS)
    table = pd.concat(parts, ignore_index=True)
    return table.assign(p_adjusted=adjusted(table, ["kind", "lead_hours"]))[COLUMNS]


def draw(paths: list[str | Path], card: pd.DataFrame) -> None:
    """A card as a figure: rows are channels, columns leads within regions; hatched where undecided."""
    leads = _leads(card)
    wide = max(1, len(leads)) * len(REGIONS)
    figure, axes = plt.subplots(
        1, len(REGIONS), figsize=(2.5 + 0.36 * wide, 1.6 + 0.24 * len(SHOWN)), layout="constrained", sharey=True
    )
    norm = Normalize(-LIMIT, LIMIT)
    for axis, region in zip(axes, REGIONS, strict=True):
        if not leads:
            continue
        percents, undecided = _matrices(card[card.region == region], leads)
        edges = np.arange(len(leads) + 1), np.arange(len(SHOWN) + 1)
        axis.pcolormesh(*edges, percents, norm=norm, cmap=BLUE_ORANGE, edgecolors="#a0a0a0", linewidth=0.4)
        hatched = axis.pcolor(*edges, np.ma.masked_where(~undecided, percents), hatch="////", edgecolor="#a0a0a0")
        hatched.set(array=None, facecolor="none", linewidth=0.0)
        axis.set(xlim=(0, max(1, len(leads))), ylim=(len(SHOWN), 0), title=region)
        axis.set_xticks(np.arange(len(leads)) + 0.5, [_label(kind, lead) for kind, lead in leads], rotation=90)
        axis.set_yticks(np.arange(len(SHOWN)) + 0.5, SHOWN)
        axis.tick_params(labelsize=8, length=0)
    scale = plt.cm.ScalarMappable(norm, BLUE_ORANGE)
    figure.colorbar(scale, ax=axes, shrink=0.6, label="RMSE, % of the reference's: blue is better", extend="both")
    if not card.empty:
        figure.suptitle(f"{card.experiment.iloc[0]} against {card.reference.iloc[0]}", fontsize=11)
    sample = Patch(facecolor="white", edgecolor="#777777", hatch="////")
    figure.legend([sample], [f"undecided (adjusted p of {SIGNIFICANCE} or more)"], loc="outside lower left")
    save(figure, *paths)


def _matrices(card: pd.DataFrame, leads: list[tuple[str, int]]) -> tuple[np.ma.MaskedArray, np.ndarray]:
    """Percents of a region, masked where missing, and whether each is undecided; both (channels of `SHOWN`, leads)."""
    percents = np.full((len(SHOWN), len(leads)), np.nan)
    undecided = np.zeros(percents.shape, dtype=bool)
    for cell in card.assign(channel=channel_of(card)).itertuples():
        place = SHOWN.index(cell.channel), leads.index((cell.kind, cell.lead_hours))
        percents[place] = cell.percent
        undecided[place] = cell.p_adjusted >= SIGNIFICANCE
    return np.ma.masked_invalid(percents), undecided


def _leads(card: pd.DataFrame) -> list[tuple[str, int]]:
    """Kinds and leads of a card: backgrounds, analyses, forecasts by lead."""
    kinds = ["background", "analysis", "forecast"]
    found = card[["kind", "lead_hours"]].drop_duplicates()
    return sorted(found.itertuples(index=False, name=None), key=lambda pair: (kinds.index(pair[0]), pair[1]))


def _label(kind: str, lead: int) -> str:
    return {"background": "background", "analysis": "analysis"}.get(kind, f"{lead} h")
