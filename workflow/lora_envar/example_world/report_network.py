"""Reports that a network of stations would make of the example's world: soundings, surface stations, aircraft.

Values are H of the truth, with Gaussian noise of the error table and, at a given rate, gross errors of ten times that;
pressure and temperature of surface stations follow from the model's at the sea and at its surface by the rules by which
`reports` goes the other way. There is one report a place and time, mass and wind apart, as in PrepBUFR.
"""

from dataclasses import dataclass
from datetime import datetime
from os import PathLike

import numpy as np
import pandas as pd
import torch

from ..fields.constants import GAS_CONSTANT, GRAVITY, LAPSE_RATE
from ..fields.grid import Grid
from ..fields.seeds import derived_seed
from ..fields.state import LEVELS
from ..fields.timeline import hours_since_1970
from ..observations.catalogue import CODES
from ..observations.error_table import ErrorTable
from ..observations.operator import ObservationOperator
from ..observations.prepbufr import VARIABLES, Reports
from ..observations.reports import Orography
from ..observations.table import Observations

GROSS = 10.0  # times the standard deviation of the error


@dataclass(frozen=True)
class Kind:
    """How a kind of place reports: message category, report types of mass and wind, level category, and what."""

    category: bytes
    report_types: tuple[int, int]
    level_category: int
    mass: tuple[str, ...]
    wind: tuple[str, ...]


KINDS = {
    "temp": Kind(b"ADPUPA", (120, 220), 1, ("z", "q", "t"), ("u", "v")),
    "synop": Kind(b"ADPSFC", (181, 281), 0, ("msl", "t2m"), ("u10", "v10")),
    "aircraft": Kind(b"AIRCFT", (131, 231), 6, ("t",), ("u", "v")),
}
REPORTED_AS = {"msl": "p", "t2m": "t", "u10": "u", "v10": "v"}


def read_places(path: str | PathLike[str]) -> pd.DataFrame:
    """Places: kind, latitude, longitude (degrees), elevation (m) of stations, pressure (hPa) of aircraft.

    Raises
    ------
    ValueError
        If a column is missing, a kind is unknown, or a place is nowhere.
    """
    places = pd.read_csv(path)
    missing = sorted({"kind", "latitude", "longitude", "elevation", "pressure"} - set(places))
    if missing:
        raise ValueError(f"{path} has no column {', '.join(missing)}; add it")
    unknown = sorted(set(places.kind) - set(KINDS))
    if unknown:
        raise ValueError(f"{path}: the kinds {', '.join(unknown)} are unknown; known: {', '.join(KINDS)}")
    if not (places.latitude.abs() <= 90).all() or places.longitude.isna().any():
        raise ValueError(f"{path} has places without a latitude (-90 to 90) or a longitude; add them")
    return places


@dataclass(frozen=True)
class ReportNetwork:
    """Places that report, and how well.

    Attributes
    ----------
    places : DataFrame
        See `read_places`.
    orography : Orography
        Height of the surface to which the temperature at 2 m belongs.
    error_table : ErrorTable
    gross_error_share : float
        Share of the data that have an error ten times as large.
    seed : int
        Of errors; they are drawn afresh at every time.
    """

    places: pd.DataFrame
    orography: Orography
    error_table: ErrorTable
    gross_error_share: float
    seed: int


def simulate_reports(truth: np.ndarray, grid: Grid, time: datetime, network: ReportNetwork) -> Reports:
    """Reports of all places at a time, from the true state, (69, lat, lon) in the units of the state.

    Levels of soundings are those of the state and one between each two, all above the station.
    """
    rows = _rows(network.places)
    table = Observations.build(
        variable=rows.variable.map(CODES), value=np.zeros(len(rows)), **rows[["latitude", "longitude", "pressure"]]
    )
    value = ObservationOperator(table, grid, torch.float64)(torch.as_tensor(truth, dtype=torch.float64)).numpy()
    error = network.error_table(table.variable, table.pressure, value)
    random = np.random.default_rng(derived_seed(network.seed, "reports", hours_since_1970(time)))
    gross = random.random(len(rows)) < network.gross_error_share
    noise = error * random.standard_normal(len(rows)) * np.where(gross, GROSS, 1.0)

    observed = value + noise
    observed[rows.variable == "q"] = observed[rows.variable == "q"].clip(min=0.0)
    elevation = rows.elevation.to_numpy(float)
    warm = (rows.variable == "t2m").to_numpy()
    height = network.orography.at(rows.latitude.to_numpy(), rows.longitude.to_numpy())
    observed[warm] += LAPSE_RATE * (height - elevation)[warm]
    # the reduction to the sea uses the temperature that is reported, noise and all
    sea = (rows.variable == "msl").to_numpy()
    reported = pd.Series(observed[warm], rows.place[warm]).reindex(rows.place[sea]).to_numpy()
    exponent = GRAVITY / (GAS_CONSTANT * LAPSE_RATE)
    observed[sea] /= (1.0 + LAPSE_RATE * elevation[sea] / reported) ** exponent
    # all data of a surface station lie at the pressure that it reports
    station_pressure = pd.Series(observed[sea] / 100.0, rows.place[sea])
    rows["pressure"] = rows.pressure.fillna(rows.place.map(station_pressure))
    kept = _above_station(rows, value)
    rows = rows[kept]
    observed = observed[kept]
    kinds = [KINDS[kind] for kind in rows.kind]
    names = rows.variable.replace(REPORTED_AS)
    count = len(rows)
    return Reports(
        cycle=time,
        category=np.array([kind.category for kind in kinds], dtype="S8"),
        report_type=rows.report_type.to_numpy("i2"),
        station=np.array(
            [f"{kind[0].upper()}{place:05d}" for kind, place in zip(rows.kind, rows.place, strict=True)], dtype="S8"
        ),
        latitude=rows.latitude.to_numpy(float),
        longitude=rows.longitude.to_numpy(float),
        time_offset=np.zeros(count),
        elevation=np.nan_to_num(rows.elevation.to_numpy(float)),
        level_category=np.array([kind.level_category for kind in kinds]),
        pressure=rows.pressure.to_numpy(float),
        variable=np.array([VARIABLES.index(name) for name in names]),
        value=observed,
        error=np.full(count, np.nan),
        quality=np.full(count, 2),
        virtual=np.zeros(count, dtype=bool),
    )


def _rows(places: pd.DataFrame) -> pd.DataFrame:
    """One row per datum; those of a report follow each other."""
    between = np.sqrt(np.array(LEVELS[1:]) * np.array(LEVELS[:-1]))
    levels = np.sort(np.concatenate([LEVELS, between.round(1)]))[::-1]
    parts = []
    for name, kind in KINDS.items():
        chosen = places[places.kind == name]
        chosen = chosen.assign(place=chosen.index)
        if name == "temp":
            chosen = chosen.drop(columns="pressure").merge(pd.DataFrame({"pressure": levels}), how="cross")
        for report_type, variables in zip(kind.report_types, (kind.mass, kind.wind), strict=True):
            crossed = chosen.merge(pd.DataFrame({"variable": variables}), how="cross")
            parts.append(crossed.assign(report_type=report_type))
    rows = pd.concat(parts, ignore_index=True)
    return rows[(rows.kind != "synop") | rows.elevation.notna()].reset_index(drop=True)


def _above_station(rows: pd.DataFrame, value: np.ndarray) -> np.ndarray:
    """Whether the height of a sounding's level is above the station; true for all other data."""
    heights = (rows.variable == "z").to_numpy()
    level = pd.MultiIndex.from_frame(rows[["place", "pressure"]])
    height = pd.Series(value[heights] / GRAVITY, level[heights]).reindex(level).to_numpy()
    return (rows.kind != "temp").to_numpy() | (height > rows.elevation.to_numpy(float))
