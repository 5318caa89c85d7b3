"""Scores of states against the truth, per channel and region, area-weighted as in WeatherBench 2."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import xarray as xr

from ..fields.grid import Grid
from ..fields.regridding import regridder
from ..fields.state import CHANNELS, NAMES
from ..files.state_file import StateFile
from ..files.tables import read_table
from .replicates import grouped

#: region -> southern and northern limit in degrees
REGIONS = {"global": (-90.0, 90.0), "north": (20.0, 90.0), "tropics": (-20.0, 20.0), "south": (-90.0, -20.0)}
#: values that are scored at once, of so many states and channels as these are: 32 states of the example
BATCH_VALUES = 65536 * len(CHANNELS)

#: of tables of scores
COLUMNS = [
    "experiment",
    "valid_time",
    "kind",
    "lead_hours",
    "variable",
    "level",
    "region",
    "metric",
    "value",
    "unit",
]


def area_means(fields: np.ndarray, weights: xr.DataArray) -> np.ndarray:
    """Means over the last two dimensions, latitude and longitude, with weights by latitude."""
    return fields.mean(-1) @ (weights.values / weights.values.sum())


def activity(
    forecast: xr.DataArray, observed: xr.DataArray, preserve_dims: Sequence[str], weights: xr.DataArray
) -> xr.DataArray:
    """Standard deviation of a forecast's anomalies over the region; too small if the forecast is too smooth."""
    _, variance = _moments(forecast.values, weights)
    return _of_fields(forecast, np.sqrt(variance))


def anomaly_correlation(
    forecast: xr.DataArray, observed: xr.DataArray, preserve_dims: Sequence[str], weights: xr.DataArray
) -> xr.DataArray:
    """Correlation of anomalies over the region, their means taken off, as ECMWF's."""
    forecast_mean, forecast_variance = _moments(forecast.values, weights)
    observed_mean, observed_variance = _moments(observed.values, weights)
    covariance = area_means(forecast.values * observed.values, weights) - forecast_mean * observed_mean
    return _of_fields(forecast, covariance / np.sqrt(forecast_variance * observed_variance))


def _moments(fields: np.ndarray, weights: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    """Means and variances over the region; with xarray's, scoring would take several times as long."""
    mean = area_means(fields, weights)
    return mean, area_means(fields**2, weights) - mean**2


def _of_fields(fields: xr.DataArray, values: np.ndarray) -> xr.DataArray:
    """A value of each field."""
    return xr.DataArray(values, dims=fields.dims[:-2])


#: metric -> name of a function of `scores.continuous`, or a function with the same arguments; they are given anomalies
METRICS: dict[str, str | Callable[..., xr.DataArray]] = {
    "rmse": "rmse",
    "bias": "additive_bias",
    "activity": activity,
    "anomaly_correlation": anomaly_correlation,
}
#: metrics in other units than the state's
UNITS = {"anomaly_correlation": "1"}


def score_states(states: np.ndarray, truths: np.ndarray, grid: Grid, climatology: np.ndarray) -> np.ndarray:
    """Scores, (states, regions, metrics, 69), of states of shape (states, 69, lat, lon).

    Bias is state minus truth. Anomalies are from the climatology, (69, lat, lon); errors do not depend on it.
    """
    from scores import continuous  # takes half a second: not where scores are only read

    dimensions = ("state", "channel", "latitude", "longitude")
    area = xr.DataArray(grid.area_weights, {"latitude": grid.latitude}, ("latitude",))
    values = np.empty((len(states), len(REGIONS), len(METRICS), len(CHANNELS)))
    at_once = max(1, BATCH_VALUES // (len(states) * grid.nlat * grid.nlon))
    for first in range(0, len(CHANNELS), at_once):
        some = slice(first, first + at_once)
        coordinates = {"channel": list(NAMES[some]), "latitude": grid.latitude, "longitude": grid.longitude}
        anomalies = [
            xr.DataArray(fields[:, some].astype(np.float64) - climatology[some], coordinates, dimensions)
            for fields in (states, truths)
        ]
        for region, (south, north) in enumerate(REGIONS.values()):
            inside = np.flatnonzero((grid.latitude >= south) & (grid.latitude <= north))
            rows = slice(inside[0], inside[-1] + 1)
            selected = [fields.isel(latitude=rows) for fields in anomalies]
            for metric, entry in enumerate(METRICS.values()):
                function = getattr(continuous, entry) if isinstance(entry, str) else entry
                values[:, region, metric, some] = function(
                    *selected, preserve_dims=("state", "channel"), weights=area[rows]
                ).transpose("state", "channel")
    return values


def read_climatology(path: str | Path, grid: Grid) -> np.ndarray:
    """The mean of a climatology, (69, lat, lon), on a grid; its own is that of the training archive."""
    climatology = StateFile(path)
    return regridder(climatology.grid, grid)(torch.from_numpy(climatology.read())).numpy()


def score_all(
    experiment: str,
    entries: Iterable[tuple[datetime, str, int, np.ndarray, np.ndarray]],
    grid: Grid,
    climatology: np.ndarray,
) -> pd.DataFrame:
    """A table with `COLUMNS` of many states: of each a row per region, metric and channel.

    Parameters
    ----------
    entries : iterable of (valid time, kind, lead in hours, state, truth)
        Kind is ``analysis``, ``background`` or ``forecast``.
    climatology : (69, lat, lon)
    """
    remaining = iter(entries)
    keys: list[tuple[str, str, int]] = []
    values: list[np.ndarray] = []
    while batch := list(islice(remaining, max(1, BATCH_VALUES // (len(CHANNELS) * grid.nlat * grid.nlon)))):
        keys += [(f"{time:%Y-%m-%dT%H}", kind, lead) for time, kind, lead, *_ in batch]
        states = np.stack([state for *_, state, _ in batch])
        truths = np.stack([truth for *_, truth in batch])
        values.append(score_states(states, truths, grid, climatology))
    index = pd.MultiIndex.from_product([range(len(keys)), REGIONS, METRICS, range(len(CHANNELS))])
    state = index.get_level_values(0)
    channel = index.get_level_values(3)
    times, kinds, leads = zip(*keys, strict=True)
    metric = index.get_level_values(2)
    units = np.array([channel.units for channel in CHANNELS])[channel]
    return pd.DataFrame(
        {
            "experiment": experiment,
            "valid_time": np.array(times)[state],
            "kind": np.array(kinds)[state],
            "lead_hours": np.array(leads)[state],
            "variable": np.array([channel.variable for channel in CHANNELS])[channel],
            "level": pd.array([channel.level for channel in CHANNELS], dtype="Int64")[channel],
            "region": index.get_level_values(1),
            "metric": metric,
            "value": np.concatenate(values).ravel(),
            "unit": np.where(metric.isin(UNITS), metric.map(UNITS), units),
        },
        columns=COLUMNS,
    )


def read_scores(*paths: str | Path) -> pd.DataFrame:
    """Tables that `score_all` gave, from their files, in one: by experiment as they come, then by kind, then by time.

    Raises
    ------
    ValueError
        If a table has too few rows for a state.
    """
    table = pd.concat(map(_read_scores, paths), ignore_index=True)
    experiments = [group.sort_values("kind", kind="stable") for _, group in table.groupby("experiment", sort=False)]
    return pd.concat(experiments, ignore_index=True)


def _read_scores(path: str | Path) -> pd.DataFrame:
    table = read_table(path, dtype={"level": "Int64"})
    rows = table.groupby(["experiment", "valid_time", "kind", "lead_hours"]).size()
    if (rows != len(CHANNELS) * len(REGIONS) * len(METRICS)).any():
        raise ValueError(f"{path} has too few rows; remove it and repeat the command")
    return table


def analysis_rmse(scores: pd.DataFrame) -> pd.DataFrame:
    """Rows with the global RMSE of analyses, replicates named by their group, with the columns seed and channel."""
    chosen = scores[(scores.kind == "analysis") & (scores.region == "global") & (scores.metric == "rmse")]
    return grouped(chosen).assign(channel=channel_of(chosen))


def by_region_and_channel(columns: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """A row per region of `REGIONS` and channel: variable, level, region, and columns that are given, (regions, 69)."""
    region, channel = np.divmod(np.arange(len(REGIONS) * len(CHANNELS)), len(CHANNELS))
    return pd.DataFrame({name: values.ravel() for name, values in columns.items()}).assign(
        variable=np.array([each.variable for each in CHANNELS])[channel],
        level=pd.array([each.level for each in CHANNELS], dtype="Int64")[channel],
        region=np.array(list(REGIONS))[region],
    )


def channel_of(table: pd.DataFrame) -> pd.Series:
    """Names of channels (z500, t2m) of a table with columns variable and level."""
    return table["variable"] + table["level"].astype("Int64").astype("string").fillna("")


def after_spin_up(scores: pd.DataFrame, first: dict[str, str]) -> pd.DataFrame:
    """The rows valid at or after each experiment's first scored cycle, given as ``20220131T18``."""
    stamps = pd.to_datetime(scores["valid_time"], format="%Y-%m-%dT%H")
    starts = pd.to_datetime(scores["experiment"].map(first), format="%Y%m%dT%H")
    return scores[stamps >= starts]
