"""Quality control without the truth: what is wrong with a report by itself, by its neighbours, by the background.

`select` needs nothing but the reports, and is the same for all experiments. `check_departures` needs O - B. Every datum
that is not used keeps its reason in the column `rejection`; the first that applies stands.

In order: quality marks of the report; gross limits; blacklist; height of the station; duplicates; hydrostatic and
superadiabatic checks of ascents; then some stations are withheld; thinning of what is left; background check; buddy
check. Withheld data pass the checks of all others, but neither thin nor support them.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from ..archive.layout import GAS_CONSTANT
from ..state import LEVELS, SURFACE
from .operator import outside_of_levels
from .table import CODES, REASONS, Observations

EARTH_RADIUS_KM = 6371.0
KAPPA = 0.2857  # R / cp of dry air

#: smallest and largest value that is possible, in the units of the state; z less that of the standard atmosphere
GROSS_LIMITS = {
    "u10": (-80.0, 80.0),
    "v10": (-80.0, 80.0),
    "t2m": (180.0, 335.0),
    "msl": (8.7e4, 1.09e5),
    "z": (-1.2e4, 1.2e4),
    "q": (0.0, 0.04),
    "u": (-150.0, 150.0),
    "v": (-150.0, 150.0),
    "t": (150.0, 335.0),
}

#: beside so many standard deviations of the errors of two neighbours, the mean temperature of a layer may differ by
#: this from what its heights say, and a temperature be colder by this than dry adiabatic ascent from the level below
DEVIATIONS = 3.0
LAYER_TEMPERATURE = 5.0  # K
SUPERADIABATIC = 1.0  # K

#: report types of satellite winds: their "station" is a satellite, so a box of 5 degrees takes its place
SATELLITE_WINDS = ((240, 260), (290, 290))


@dataclass(frozen=True)
class QualitySettings:
    """What `select` does.

    Attributes
    ----------
    largest_quality_mark : int
        NCEP's marks run from 0 (kept by hand), 1 (good), 2 (not checked), 3 (suspect) to 15.
    blacklist : tuple of str
        Identifiers of stations.
    highest_station : float
        Height in m above which surface reports are not used; their pressure is reduced to the sea by a rule.
    thinning_km : float or None
        One datum a variable, layer and cell of this size; the nearest in time stays. None keeps all.
    superobbing : bool
        The one that stays gets the mean of value and position of its cell.
    withheld : float
        Share of the stations that are kept to judge the analysis, drawn afresh at every time.
    seed : int
        Of that draw.
    """

    largest_quality_mark: int = 2
    blacklist: tuple[str, ...] = ()
    highest_station: float = 750.0
    thinning_km: float | None = None
    superobbing: bool = False
    withheld: float = 0.15
    seed: int = 1


def select(table: Observations, settings: QualitySettings) -> Observations:
    """A table with the column `rejection` filled, and superobservations in place of what they are the mean of."""
    rejection = table.rejection.copy()

    def reject(rows, reason):
        rejection[rows & (rejection == 0)] = REASONS[reason]

    reject(outside_of_levels(table), "outside_of_levels")
    reject(table.quality > settings.largest_quality_mark, "quality_mark")
    reject(_outside_of_limits(table), "gross_limits")
    reject(np.isin(table.station, np.array(settings.blacklist, dtype="S8")), "blacklist")
    surface = table.variable < len(SURFACE)
    reject(surface & (np.nan_to_num(table.elevation) > settings.highest_station), "station_height")
    reject(_duplicates(table, rejection == 0), "duplicate")
    reject(_inconsistent_in_the_vertical(table, rejection == 0), "vertical_consistency")
    withheld = _withheld(table, settings) & (rejection == 0)
    if settings.thinning_km:
        kept, table = _thin(table, (rejection == 0) & ~withheld, settings)
        reject(~withheld & ~kept, "thinned")
    rejection[withheld] = REASONS["withheld"]
    return table.with_columns(rejection=rejection)


def summary(table: Observations) -> str:
    """Counts by variable and reason, as text."""
    variables, reasons = np.array(list(CODES))[table.variable], np.array(list(REASONS))[table.rejection]
    return pd.crosstab(variables, reasons, rownames=["variable"], colnames=[""], margins=True).to_string()


@dataclass(frozen=True)
class DepartureChecks:
    """What is possible of O - B.

    Attributes
    ----------
    background_error : (69,) array
        Standard deviation per channel, in the units of the state.
    background_check : float
        Largest |O - B| over the square root of the sum of both error variances.
    buddy_check : float
        As that, of the difference to the mean O - B of data of other stations nearby. It is for data whose own
        departure is larger than half of what the background check allows.
    buddy_distance_km : float
        How far these may be; in the vertical within 0.2 of ln p.
    """

    background_error: np.ndarray
    background_check: float
    buddy_check: float
    buddy_distance_km: float


def check_departures(table: Observations, departure, background_error, checks: DepartureChecks) -> np.ndarray:
    """The column `rejection` after the checks of O - B.

    Parameters
    ----------
    departure, background_error : (rows,) arrays
        O - B, NaN where H is not defined, and the background's standard deviation there.
    """
    rejection = table.rejection.copy()
    judged = np.isin(rejection, (REASONS["used"], REASONS["withheld"])) & np.isfinite(departure)
    scale = np.hypot(background_error, table.error)
    with np.errstate(invalid="ignore"):
        size = np.abs(departure) / scale
        rejection[judged & (size > checks.background_check)] = REASONS["background_check"]
        suspect = judged & (size <= checks.background_check) & (size > checks.background_check / 2)
    trusted = (rejection == REASONS["used"]) & np.isfinite(departure)
    for variable in np.unique(table.variable[suspect]):
        rows = np.flatnonzero(suspect & (table.variable == variable))
        buddies = np.flatnonzero(trusted & (table.variable == variable))
        mean, count = _mean_of_buddies(table, departure, rows, buddies, checks.buddy_distance_km)
        bad = (count >= 3) & (np.abs(departure[rows] - mean) > checks.buddy_check * scale[rows])
        rejection[rows[bad]] = REASONS["buddy_check"]
    _reject_whole_winds(table, rejection)
    return rejection


def _reject_whole_winds(table, rejection):
    """Where one component of a wind fails a check of O - B, the other is not used either; in place."""
    checks = (REASONS["background_check"], REASONS["buddy_check"])
    components = [CODES[name] for name in ("u", "v", "u10", "v10")]
    wind = np.isin(table.variable, components) & np.isin(rejection, (*checks, REASONS["used"], REASONS["withheld"]))
    frame = _frame(table, wind).assign(surface=(table.variable < len(SURFACE))[wind])
    place = [name for name in frame if name != "variable"]
    report = frame.groupby(place, dropna=False, sort=False).ngroup()
    reason = pd.Series(rejection[wind], frame.index).where(lambda code: code.isin(checks))
    worst = reason.groupby(report).transform("max").dropna()
    rejection[worst.index] = worst.astype("i1")


def _mean_of_buddies(table, departure, rows, buddies, distance):
    """Weighted mean of O - B of other stations around each row, and their number."""
    mean, count = np.zeros(len(rows)), np.zeros(len(rows), dtype=int)
    if not len(buddies):
        return mean, count
    position = np.column_stack([_on_sphere(table) * EARTH_RADIUS_KM / distance, _log_pressure(table) / 0.2])
    pairs = cKDTree(position[rows]).sparse_distance_matrix(cKDTree(position[buddies]), 1.0, output_type="ndarray")
    mine, other = rows[pairs["i"]], buddies[pairs["j"]]
    foreign = table.station[mine] != table.station[other]
    index, weight = pairs["i"][foreign], np.exp(-2.0 * pairs["v"][foreign] ** 2)
    np.add.at(count, index, 1)
    total = np.bincount(index, weight, minlength=len(rows))
    weighted = np.bincount(index, weight * departure[other[foreign]], minlength=len(rows))
    return np.divide(weighted, total, out=mean, where=total > 0), count


def _on_sphere(table) -> np.ndarray:
    latitude, longitude = np.radians(table.latitude.astype(float)), np.radians(table.longitude.astype(float))
    return np.column_stack(
        [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)]
    )


def _log_pressure(table) -> np.ndarray:
    """ln p; that of 1000 hPa at the surface, where it makes no difference."""
    return np.log(np.where(np.isfinite(table.pressure), table.pressure, 1000.0).astype(float))


def standard_geopotential(pressure: np.ndarray) -> np.ndarray:
    """Geopotential of the ICAO standard atmosphere, m2 s-2, of pressure in hPa; isothermal above 226 hPa."""
    height = 44330.8 * (1.0 - (np.maximum(pressure, 226.32) / 1013.25) ** 0.190263)
    return 9.80665 * (height + 6341.6 * np.log(226.32 / np.minimum(pressure, 226.32)))


def _outside_of_limits(table) -> np.ndarray:
    names = list(CODES)
    lower, upper = (np.array([GROSS_LIMITS[name][side] for name in names])[table.variable] for side in (0, 1))
    value = table.value.astype(float)
    heights = table.variable == CODES["z"]
    value[heights] -= standard_geopotential(table.pressure[heights].astype(float))
    return (value < lower) | (value > upper)


def _frame(table, rows) -> pd.DataFrame:
    names = ("variable", "pressure", "latitude", "longitude", "time", "time_offset", "station", "report_type")
    return pd.DataFrame({name: getattr(table, name)[rows] for name in names}, index=np.flatnonzero(rows))


def _duplicates(table, candidates) -> np.ndarray:
    """Rows of the same place, level, variable, type and station as one nearer to the valid time."""
    frame = _frame(table, candidates)
    frame = frame.assign(
        pressure=frame.pressure.round(1).fillna(-1),
        latitude=frame.latitude.round(1),
        longitude=frame.longitude.round(1),
    )
    ordered = frame.iloc[np.argsort(np.abs(frame.time_offset.to_numpy()), kind="stable")]
    repeated = ordered.duplicated(
        ["station", "report_type", "variable", "time", "pressure", "latitude", "longitude"], keep="first"
    )
    result = np.zeros(len(table), dtype=bool)
    result[repeated.index[repeated]] = True
    return result


def _inconsistent_in_the_vertical(table, candidates) -> np.ndarray:
    """Heights and temperatures of ascents (report types 120 to 122) that contradict each other, or dry convection."""
    result = np.zeros(len(table), dtype=bool)
    ascents = candidates & (table.report_type >= 120) & (table.report_type <= 122)
    ascents &= np.isin(table.variable, (CODES["t"], CODES["z"], CODES["q"]))
    frame = _frame(table, ascents)
    for _, profile in frame.groupby(["station", "time"], sort=False):
        rows = {name: _profile(profile, name) for name in ("t", "z", "q")}
        temperature = rows["t"]
        if len(temperature) < 2:
            continue
        depth, kelvin = -np.log(table.pressure[temperature].astype(float)), table.value[temperature].astype(float)
        adiabatic = kelvin[:-1] * np.exp(-KAPPA * np.diff(depth))
        allowed = SUPERADIABATIC + _of_pairs(table.error[temperature].astype(float))
        result[temperature[1:][kelvin[1:] < adiabatic - allowed]] = True
        result[_not_hydrostatic(table, temperature, rows["z"], rows["q"], depth, kelvin)] = True
    return result


def _of_pairs(error):
    """What the errors of neighbours allow as a difference."""
    return DEVIATIONS * np.hypot(error[1:], error[:-1])


def _profile(profile, name):
    """Rows of a variable, from the ground up."""
    rows = profile.index[profile.variable == CODES[name]].to_numpy()
    return rows[np.argsort(-profile.pressure[rows].to_numpy(), kind="stable")]


def _not_hydrostatic(table, temperature, heights, humidity, depth, kelvin):
    """Rows of an ascent to be rejected: a height or temperature that makes both layers around it wrong, else the
    temperatures within a layer."""
    if len(heights) < 2:
        return []
    moist = np.zeros_like(kelvin)
    if len(humidity):
        moist = np.interp(depth, -np.log(table.pressure[humidity].astype(float)), table.value[humidity].astype(float))
    virtual = kelvin * (1.0 + 0.608 * moist)
    integral = np.concatenate([[0.0], np.cumsum((virtual[1:] + virtual[:-1]) / 2 * np.diff(depth))]) * GAS_CONSTANT
    level = -np.log(table.pressure[heights].astype(float))
    inside = (level >= depth[0]) & (level <= depth[-1])
    heights, level = heights[inside], level[inside]
    if len(heights) < 2:
        return []
    residual = np.diff(table.value[heights].astype(float)) - np.diff(np.interp(level, depth, integral))
    error = table.error[heights].astype(float)
    bad = np.abs(residual) > GAS_CONSTANT * LAYER_TEMPERATURE * np.diff(level) + _of_pairs(error)
    bad_level = np.append(True, bad) & np.append(bad, True)
    unexplained = bad & ~bad_level[:-1] & ~bad_level[1:]
    # a wrong height makes one layer too thick and the next too thin, a wrong temperature both alike
    alike = np.append(0.0, residual) * np.append(residual, 0.0) > 0
    layer = np.clip(np.searchsorted(level, depth, side="right") - 1, 0, len(bad) - 1)
    wrong = unexplained[layer] & (depth > level[layer]) & (depth < level[layer + 1])
    wrong |= np.isin(depth, level[bad_level & alike])
    return np.concatenate([heights[bad_level & ~alike], temperature[wrong]])


def _withheld(table, settings) -> np.ndarray:
    """Rows of the stations drawn at each time; a station's draw depends on the seed, the time and its name alone."""
    if not settings.withheld:
        return np.zeros(len(table), dtype=bool)
    frame = _frame(table, np.ones(len(table), dtype=bool))
    place = pd.Series("", index=frame.index)
    for first, last in SATELLITE_WINDS:
        rows = frame.report_type.between(first, last)
        boxes = (frame[["latitude", "longitude"]][rows] // 5).astype(int).astype(str)
        place[rows] = boxes.latitude + "/" + boxes.longitude
    keys = frame.time.astype(str) + "/" + frame.station.str.decode("latin-1") + "/" + place
    codes, names = pd.factorize(keys)
    drawn = np.array([_uniform(f"{settings.seed}/{name}") < settings.withheld for name in names])
    return drawn[codes] if len(names) else np.zeros(0, dtype=bool)


def _uniform(text: str) -> float:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") / 2**64


def _thin(table, candidates, settings) -> tuple[np.ndarray, Observations]:
    """Which rows stay, one of each variable, layer and cell; and the table, with means there if superobbing."""
    frame = _frame(table, candidates)
    band_height = np.degrees(settings.thinning_km / EARTH_RADIUS_KM)
    band = ((frame.latitude.to_numpy(float) + 90.0) // band_height).astype(int)
    centre = np.radians((band + 0.5) * band_height - 90.0)
    count = np.maximum(1, np.rint(360.0 / band_height * np.maximum(np.cos(centre), 0.0))).astype(int)
    column = (frame.longitude.to_numpy(float) % 360.0 / 360.0 * count).astype(int) % count
    edges = (np.log(LEVELS[1:]) + np.log(LEVELS[:-1])) / 2
    layer = np.searchsorted(edges, np.log(frame.pressure.fillna(1000.0).to_numpy(float)))
    # mass and wind of one place are different reports, and so are ascents and single levels: variables keep apart
    frame = frame.assign(band=band, column=column, layer=layer, distance=np.abs(frame.time_offset))
    cell = ["time", "variable", "layer", "band", "column"]
    ordered = frame.sort_values([*cell, "distance", "station"], kind="stable")
    first = ~ordered.duplicated(cell)
    kept = np.zeros(len(table), dtype=bool)
    kept[ordered.index[first]] = True
    if not settings.superobbing:
        return kept, table
    group = ordered.groupby(cell, sort=False).ngroup().to_numpy()
    rows, chosen = ordered.index.to_numpy(), ordered.index[first].to_numpy()
    size = np.bincount(group)
    changed = {}
    for name in ("value", "pressure", "latitude", "time_offset"):
        values = getattr(table, name).copy()
        values[chosen] = np.bincount(group, values[rows].astype(float)) / size
        changed[name] = values
    longitude = table.longitude.copy()
    turned = (longitude[rows] - longitude[chosen][group] + 180.0) % 360.0 - 180.0  # cells may lie across 0
    longitude[chosen] = (longitude[chosen] + np.bincount(group, turned.astype(float)) / size) % 360.0
    return kept, table.with_columns(longitude=longitude, **changed)
