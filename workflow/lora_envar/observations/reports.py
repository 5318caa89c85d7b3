"""From decoded reports to data of the state's variables: what is observed, where, and with what error.

Rules, for reports at the surface (level category 0, and all of surface stations, ships and scatterometers):

* Pressure p at height h becomes that at the sea, msl = p (1 + L h / T)^(g / (R L)), with the standard lapse rate L, the
  reported temperature T, or that of the standard atmosphere at h where there is none that is possible.
* Temperature and winds are t2m, u10 and v10. With an orography of the model, temperature is brought to its height by
  the standard lapse rate, and stations that differ from it by more than 200 m are not used; without, they stand as they
  are.

Above: u, v, t and q at any pressure; z of soundings alone, for elsewhere heights follow from pressure. A temperature
that is virtual is made sensible by the humidity of its level; where there is none it is not used.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from os import PathLike

import numpy as np
import pandas as pd

from ..archive.opening import SourceError, open_datasets
from ..fields.constants import GAS_CONSTANT, GRAVITY, LAPSE_RATE
from ..fields.grid import Grid
from ..fields.timeline import hours_since_1970
from .catalogue import CODES, TYPES
from .error_table import ErrorTable
from .interpolation import horizontal_weights
from .prepbufr import ALL, VARIABLES, Reports, read_prepbufr
from .table import REASONS, Observations, concatenate

STANDARD_TEMPERATURE = 288.15  # K, at the sea

SOUNDINGS = b"ADPUPA"
SCATTEROMETER = b"ASCATW"
SURFACE_CATEGORIES = (b"ADPSFC", b"SFCSHP", b"SFCBOG", b"MSONET", SCATTEROMETER)
SURFACE_LEVEL = 0  # level category
TO_SURFACE = {"p": "msl", "t": "t2m", "u": "u10", "v": "v10"}
TO_UPPER_AIR = ("q", "t", "u", "v", "z")
OROGRAPHY_NAMES = ("orog", "orography", "surface_altitude", "geopotential_at_surface", "z")
#: the two models of the atmosphere disagree about the height of the ground; beyond this a station says nothing
LARGEST_HEIGHT_DIFFERENCE = 200.0  # m


@dataclass(frozen=True)
class Orography:
    """Height of the model's surface in m, (lat, lon), on a grid."""

    height: np.ndarray
    grid: Grid

    @classmethod
    def read(cls, path: str | PathLike[str]) -> "Orography":
        """From a netCDF or GRIB file with a height (orog, orography, surface_altitude; m) or geopotential (z, m2 s-2).

        Raises
        ------
        ValueError
            If the file has none of these, is of another kind, or is not on a global grid.
        """
        try:
            datasets = open_datasets(path)
        except SourceError as error:
            raise ValueError(str(error)) from error
        found = [dataset[name] for name in OROGRAPHY_NAMES for dataset in datasets if name in dataset]
        if not found:
            held = ", ".join(str(name) for dataset in datasets for name in dataset.data_vars)
            raise ValueError(
                f"{path} has no height of the surface, which would be {' or '.join(OROGRAPHY_NAMES)}; it has "
                f"{held or 'no variables'}"
            )
        name = found[0].name
        field = found[0].squeeze(drop=True).load()
        for dataset in datasets:
            dataset.close()
        short = {"lat": "latitude", "lon": "longitude"}
        field = field.rename({axis: short[axis] for axis in field.dims if axis in short})
        field = field.assign_coords(longitude=field.longitude % 360.0).sortby("longitude")
        field = field.sortby("latitude", ascending=False)
        grid = Grid.from_coordinates(field.latitude.values, field.longitude.values)
        height = field.transpose("latitude", "longitude").values.astype(np.float64)
        return cls(height / GRAVITY if name in ("z", "geopotential_at_surface") else height, grid)

    def at(self, latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
        """Interpolate bilinearly to positions in degrees, each (rows,)."""
        rows, columns, weights = horizontal_weights(self.grid, latitude, longitude)
        parts = [w * self.height[r, c] for r, c, w in zip(rows, columns, weights, strict=True)]
        return np.asarray(sum(parts))


@dataclass(frozen=True)
class Decoding:
    """What is read from a PrepBUFR file, and how it becomes data of the state's variables.

    Attributes
    ----------
    error_table : path
        See `error_table.ErrorTable`.
    orography : path or None
        See `Orography`.
    categories : sequence of str
        Message categories to read (ADPUPA, ADPSFC, ...).
    reported_errors : bool
        Take the error of the report where it has one, and that of the table elsewhere; or always the table's.
    """

    error_table: str | PathLike[str]
    orography: str | PathLike[str] | None = None
    categories: Sequence[str] = ALL
    reported_errors: bool = True


def decode(
    path: str | PathLike[str],
    how: Decoding,
    progress: Callable[[str], None] = print,
    cycle: datetime | None = None,
) -> Observations:
    """Apply `to_observations` to a PrepBUFR file, with tables that are read from their files.

    Parameters
    ----------
    cycle : datetime, optional
        The cycle that the file must be of, in UTC.

    Raises
    ------
    PrepBufrError
        If the file is not PrepBUFR, or is of another cycle.
    """
    reports = read_prepbufr(path, how.categories, progress=progress, cycle=cycle)
    heights = Orography.read(how.orography) if how.orography else None
    return to_observations(reports, ErrorTable(how.error_table), heights, how.reported_errors)


def to_observations(
    reports: Reports,
    error_table: ErrorTable,
    orography: Orography | None = None,
    reported_errors: bool = True,
) -> Observations:
    """A table of the reports' data, valid at the cycle, `time_offset` after it; all that does not fit says why.

    Where a cycle has minutes, `time` is its whole hour, and `time_offset` counts from there.

    Parameters
    ----------
    reported_errors : bool
        Take the error of the report where it has one, and that of the table elsewhere; or always the table's.
    """
    observed = np.array(VARIABLES)[reports.variable]
    surface = (reports.level_category == SURFACE_LEVEL) | np.isin(reports.category, SURFACE_CATEGORIES)
    variable = np.full(len(observed), -1, dtype="i1")
    for name, target in TO_SURFACE.items():
        variable[surface & (observed == name)] = CODES[target]
    for name in TO_UPPER_AIR:
        variable[~surface & (observed == name) & ((name != "z") | (reports.category == SOUNDINGS))] = CODES[name]
    # pressure of a level, or of a wind, is its coordinate; what else is not in the state stays, under a code near it
    coordinate = (observed == "p") & (~surface | (reports.report_type >= 200))
    rejection = np.where(variable < 0, REASONS["not_in_state"], 0).astype("i1")
    variable = np.where(
        variable < 0, np.array([CODES.get(name, CODES["msl"]) for name in VARIABLES])[reports.variable], variable
    )
    value = reports.value.astype(float)
    error = reports.error.astype(float)
    levels = _levels(reports)
    quality = np.maximum(reports.quality, _of_level(levels, reports.quality, observed == "p", 0))
    humidity = _of_level(levels, value, observed == "q", np.nan)
    virtual = reports.virtual & (observed == "t")
    moist = virtual & np.isfinite(humidity)
    value[moist] /= 1.0 + 0.608 * humidity[moist]
    rejection[virtual & ~moist & (rejection == 0)] = REASONS["virtual_temperature"]

    height = reports.elevation.astype(float)
    reduced = (variable == CODES["msl"]) & np.isfinite(height)
    rejection[(variable == CODES["msl"]) & ~reduced & (rejection == 0)] = REASONS["station_height"]
    temperature = _of_level(levels, value, observed == "t", np.nan)
    standard = STANDARD_TEMPERATURE - LAPSE_RATE * height
    coldest, warmest = TYPES["t2m"].limits
    temperature = np.where((temperature >= coldest) & (temperature <= warmest), temperature, standard)
    exponent = GRAVITY / (GAS_CONSTANT * LAPSE_RATE)
    value[reduced] *= (1.0 + LAPSE_RATE * height[reduced] / temperature[reduced]) ** exponent
    if orography is not None:
        difference = orography.at(reports.latitude, reports.longitude) - height
        at_station = surface & np.isin(variable, [CODES[name] for name in ("t2m", "u10", "v10")])
        apart = at_station & (reports.category != SCATTEROMETER) & (np.abs(difference) > LARGEST_HEIGHT_DIFFERENCE)
        rejection[apart & (rejection == 0)] = REASONS["station_height"]
        warm = (variable == CODES["t2m"]) & np.isfinite(difference)
        value[warm] -= LAPSE_RATE * difference[warm]
    pressure = np.where(surface, np.nan, reports.pressure)
    fallback = error_table(variable, pressure, value)
    usable = np.isfinite(error) & (error > 0) & reported_errors
    kept = np.isfinite(value) & ~coordinate
    hour = reports.cycle.replace(minute=0, second=0, microsecond=0)
    minutes = (reports.cycle - hour).total_seconds() / 3600.0
    columns = {
        "variable": variable,
        "pressure": pressure,
        "latitude": reports.latitude,
        "longitude": reports.longitude,
        "time": np.full(len(value), hours_since_1970(hour)),
        "time_offset": reports.time_offset + minutes,
        "elevation": reports.elevation,
        "value": value,
        "error": np.where(usable, error, fallback),
        "station": reports.station,
        "report_type": reports.report_type,
        "quality": quality,
        "rejection": rejection,
    }
    return Observations.build(**{name: column[kept] for name, column in columns.items()})


def _levels(reports: Reports) -> np.ndarray:
    """A number for each level of each report: rows that share it were measured together."""
    frame = pd.DataFrame(
        {
            "station": reports.station,
            "report_type": reports.report_type,
            "time": reports.time_offset,
            "latitude": reports.latitude,
            "longitude": reports.longitude,
            "pressure": reports.pressure,
            "category": reports.level_category,
        }
    )
    return frame.groupby(list(frame), sort=False, dropna=False).ngroup().to_numpy()


def _of_level(levels: np.ndarray, values: np.ndarray, rows: np.ndarray, missing: float) -> np.ndarray:
    """The value that one variable (`rows`) has at the level of every row; `missing` where it has none."""
    found = np.full(levels.max(initial=-1) + 1, missing, dtype=np.asarray(values).dtype)
    found[levels[rows]] = values[rows]
    return found[levels]


def at_times(table: Observations, times: list[int], half_window: float) -> Observations:
    """The data within `half_window` hours of each time (hours since 1970), with `time` and `time_offset` of it.

    A datum between two adjacent windows belongs to the later one; `outside_of_windows` counts those in no window.
    """
    if not times:
        return table.select(np.zeros(0, dtype=int))
    exact = table.time + table.time_offset.astype(float)
    parts = []
    for time in times:
        rows = np.flatnonzero((exact - time >= -half_window) & (exact - time < half_window))
        part = table.select(rows)
        parts.append(
            part.with_columns(time=np.full(len(rows), time, dtype="i8"), time_offset=(exact[rows] - time).astype("f4"))
        )
    return concatenate(parts)


def outside_of_windows(table: Observations, times: list[int], half_window: float) -> int:
    """The number of data that `at_times` assigns to none of the times."""
    exact = table.time + table.time_offset.astype(float)
    inside = np.zeros(len(table), dtype=bool)
    for time in times:
        inside |= (exact - time >= -half_window) & (exact - time < half_window)
    return int((~inside).sum())
