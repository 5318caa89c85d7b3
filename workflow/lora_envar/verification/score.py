"""Scores of states against the truth, per channel and region, area-weighted as in WeatherBench 2."""

from collections.abc import Iterable
from datetime import datetime

import numpy as np
import pandas as pd
import xarray as xr
from scores.continuous import additive_bias, rmse

from ..grid import Grid
from ..state import CHANNELS, NAMES
from ..tables import read_table

#: region -> southern and northern limit in degrees
REGIONS = {"global": (-90.0, 90.0), "north": (20.0, 90.0), "tropics": (-20.0, 20.0), "south": (-90.0, -20.0)}
METRICS = {"rmse": rmse, "bias": additive_bias}

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


def score_state(state: np.ndarray, truth: np.ndarray, grid: Grid) -> pd.DataFrame:
    """Scores of one state, (69, lat, lon), in the units of the state: a row per channel, region and metric.

    Bias is state minus truth.
    """
    coordinates = {"channel": list(NAMES), "latitude": grid.latitude, "longitude": grid.longitude}
    forecast, observed = (
        xr.DataArray(field.astype(np.float64), coordinates, ("channel", "latitude", "longitude"))
        for field in (state, truth)
    )
    area = xr.DataArray(grid.area_weights, {"latitude": grid.latitude}, ("latitude",))
    tables = []
    for region, (south, north) in REGIONS.items():
        inside = (area.latitude >= south) & (area.latitude <= north)
        selected = [field.isel(latitude=inside.values) for field in (forecast, observed)]
        for metric, function in METRICS.items():
            values = function(*selected, preserve_dims="channel", weights=area[inside.values])
            tables.append(
                pd.DataFrame(
                    {
                        "variable": [channel.variable for channel in CHANNELS],
                        "level": [channel.level for channel in CHANNELS],
                        "region": region,
                        "metric": metric,
                        "value": values.values,
                        "unit": [channel.units for channel in CHANNELS],
                    }
                )
            )
    return pd.concat(tables, ignore_index=True)


def score_all(experiment: str, entries: Iterable[tuple[datetime, str, int, np.ndarray, np.ndarray]], grid: Grid):
    """A table with `COLUMNS` of many states.

    Parameters
    ----------
    entries : iterable of (valid time, kind, lead in hours, state, truth)
        Kind is ``analysis``, ``background`` or ``forecast``.
    """
    tables = []
    for time, kind, lead, state, truth in entries:
        table = score_state(state, truth, grid)
        table.insert(0, "experiment", experiment)
        table.insert(1, "valid_time", f"{time:%Y-%m-%dT%H}")
        table.insert(2, "kind", kind)
        table.insert(3, "lead_hours", lead)
        tables.append(table)
    combined = pd.concat(tables, ignore_index=True)[COLUMNS]
    combined["level"] = combined["level"].astype("Int64")
    return combined


def read_scores(path) -> pd.DataFrame:
    """A table that `score_all` gave, from its file; ValueError where rows of a state are missing."""
    table = read_table(path, dtype={"level": "Int64"})
    rows = table.groupby(["experiment", "valid_time", "kind", "lead_hours"]).size()
    if (rows != len(CHANNELS) * len(REGIONS) * len(METRICS)).any():
        raise ValueError(f"{path}: lacks rows; remove it, and it is made again")
    return table


def channel_of(table: pd.DataFrame) -> pd.Series:
    """Names of channels (z500, t2m) of a table with columns variable and level."""
    return table["variable"] + table["level"].astype("Int64").astype("string").fillna("")


def after_spin_up(scores: pd.DataFrame, first: dict[str, str]) -> pd.DataFrame:
    """The rows valid at or after each experiment's first scored cycle, given as ``20220131T18``."""
    stamps = pd.to_datetime(scores["valid_time"], format="%Y-%m-%dT%H")
    starts = pd.to_datetime(scores["experiment"].map(first), format="%Y%m%dT%H")
    return scores[stamps >= starts]
