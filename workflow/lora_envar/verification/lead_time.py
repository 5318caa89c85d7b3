"""Lead time gained: by how many hours one experiment's forecasts are as good as those of another.

If the mean error of the first experiment at some lead is E, the error of the second reaches E at another lead; the
difference is what is gained. Errors are interpolated linearly between leads, and analyses have a lead of 0.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ..fields.state import HEADLINE
from .replicates import grouped
from .resampling import LEAST_CYCLES, blocks_for, resampled
from .score import after_spin_up, channel_of

COLUMNS = ["experiment", "reference", "channel", "lead_hours", "gained_hours", "gained_low", "gained_high", "starts"]


def gained(errors: np.ndarray, reference: np.ndarray, leads: np.ndarray) -> np.ndarray:
    """Hours gained at every lead, (leads,).

    Parameters
    ----------
    errors, reference : (leads,)
        Mean errors of both, which grow with the lead.
    leads : (leads,)
        In hours, ascending.

    Returns
    -------
    ndarray
        Negative where hours are lost; not a number where the reference's error is never so small or large, or if its
        errors do not grow.
    """
    hours = np.full(len(leads), np.nan)
    if (np.diff(reference) > 0).all():
        inside = (errors >= reference[0]) & (errors <= reference[-1])
        hours[inside] = leads[inside] - np.interp(errors[inside], reference, leads)
    return hours


def lead_times(
    scores: pd.DataFrame, references: Mapping[str, str], first: Mapping[str, str], samples: int, seed: int
) -> pd.DataFrame:
    """The lead time that every experiment gains over its reference, with 95 % intervals from resampled starts.

    Parameters
    ----------
    scores : DataFrame
        With the columns of `score.COLUMNS`.
    references : mapping
        Experiment -> the one that it is compared with, replicates under one name.
    first : mapping
        Experiment -> first scored cycle, as ``20220131T18``.
    samples, seed : int
        Of the bootstrap.

    Returns
    -------
    DataFrame
        With `COLUMNS`; empty if there are fewer than two common starts.
    """
    rows = scores[(scores.kind != "background") & (scores.region == "global") & (scores.metric == "rmse")]
    rows = grouped(after_spin_up(rows, dict(first))).assign(channel=channel_of)
    rows = rows[rows.channel.isin(HEADLINE)]
    valid = pd.to_datetime(rows.valid_time, format="%Y-%m-%dT%H")
    rows = rows.assign(start=valid - pd.to_timedelta(rows.lead_hours, unit="h"))
    mean = rows.groupby(["experiment", "channel", "start", "lead_hours"]).value.mean().unstack("lead_hours")
    mean = mean.dropna()  # starts of forecasts, and not all analyses
    parts = [_pair(mean, pair, samples, seed) for pair in references.items()]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=COLUMNS)


def _pair(mean: pd.DataFrame, pair: tuple[str, str], samples: int, seed: int) -> pd.DataFrame:
    """The table of one pair, of mean errors by experiment, channel, start (index) and lead (columns)."""
    found = []
    if not set(pair) <= set(mean.index.unique("experiment")) or len(mean.columns) < 2:
        return pd.DataFrame(columns=COLUMNS)
    leads = mean.columns.to_numpy(dtype=float)
    for channel in HEADLINE:
        both = [mean.loc[(name, channel)] for name in pair]
        starts = both[0].index.intersection(both[1].index)
        if len(starts) < 2:
            continue
        series = [each.loc[starts].to_numpy() for each in both]
        hours, limits = _gained_with_limits(series[0], series[1], leads, samples, seed)
        for lead, here, (low, high) in zip(leads, hours, limits, strict=True):
            found.append([*pair, channel, int(lead), here, low, high, len(starts)])
    return pd.DataFrame(found, columns=COLUMNS)


def _gained_with_limits(
    first: np.ndarray, second: np.ndarray, leads: np.ndarray, samples: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """The hours gained, (leads,), of errors (starts, leads), and their 95 % intervals, (leads, 2), or NaN.

    Starts are resampled in blocks, and intervals widened, as those of the ratio of both errors are.
    """
    size = len(first)
    means = first.mean(axis=0), second.mean(axis=0)
    hours = gained(means[0], means[1], leads)
    limits = np.full((len(leads), 2), np.nan)
    if size < LEAST_CYCLES:
        return hours, limits
    blocks = blocks_for(first / means[0] - second / means[1])
    for chosen, weights in resampled(blocks, size, samples, seed):
        drawn = np.array([gained(weight @ first, weight @ second, leads) for weight in weights])
        for index in np.flatnonzero(chosen):
            known = drawn[:, index][np.isfinite(drawn[:, index])]
            # an interval of what remains of many samples would be too narrow
            if len(known) > 0.95 * samples:
                spread = np.quantile(known - hours[index], [0.025, 0.975])
                limits[index] = hours[index] + blocks.widening[index] * spread
    return hours, limits
