"""Quality control without the truth: checks of a report by itself, by its neighbours and by the background.

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

from ..fields.constants import EARTH_RADIUS_KM
from .ascents import inconsistent_in_the_vertical
from .catalogue import at_surface, by_code, names_of
from .duplicates import duplicates
from .limits import outside_of_limits
from .names import as_names
from .network import QualityOptions
from .operator import outside_of_levels
from .table import REASONS, Observations
from .thinning import thin

#: report types of satellite winds: their "station" is a satellite, so a box of 5 degrees takes its place
SATELLITE_WINDS = ((240, 260), (290, 290))
#: name of the vector of which a type is a component, empty for all others
_VECTORS = by_code(lambda kind: kind.vector or "", "")


@dataclass(frozen=True)
class QualitySettings(QualityOptions):
    """Settings of `select`.

    Attributes
    ----------
    seed : int
        Of the draw of stations that are withheld; the others are those of `QualityOptions`.
    """

    seed: int = 1


def select(table: Observations, settings: QualitySettings) -> Observations:
    """Fill the column `rejection` of a table, and replace data by superobservations, their means."""
    rejection = table.rejection.copy()

    def reject(rows: np.ndarray, reason: str) -> None:
        rejection[rows & (rejection == 0)] = REASONS[reason]

    reject(outside_of_levels(table), "outside_of_levels")
    reject((table.quality < 0) | (table.quality > settings.largest_quality_mark), "quality_mark")
    reject(outside_of_limits(table.variable, table.value, table.pressure), "gross_limits")
    reject(np.isin(table.station, as_names(settings.blacklist)), "blacklist")
    reject(at_surface(table.variable) & (np.nan_to_num(table.elevation) > settings.highest_station), "station_height")
    reject(duplicates(table, rejection == 0), "duplicate")
    reject(inconsistent_in_the_vertical(table, rejection == 0), "vertical_consistency")
    withheld = _withheld(table, settings) & (rejection == 0)
    if settings.thinning_km:
        kept, table = thin(table, (rejection == 0) & ~withheld, settings.thinning_km, settings.superobbing)
        reject(~withheld & ~kept, "thinned")
    rejection[withheld] = REASONS["withheld"]
    return table.with_columns(rejection=rejection)


def summary(table: Observations, outside: int = 0) -> str:
    """Counts by variable and reason, as text.

    Parameters
    ----------
    outside : int
        Number of data that are not in the table because they lie outside all windows.
    """
    if outside:
        lines = f"{outside} of {outside + len(table)} data are outside the window and are left out"
        return f"{lines}\n{summary(table)}"
    if not len(table):
        return "there are no data"
    reasons = np.array(list(REASONS))[table.rejection]
    return pd.crosstab(
        names_of(table.variable), reasons, rownames=["variable"], colnames=[""], margins=True
    ).to_string()


@dataclass(frozen=True)
class DepartureChecks:
    """Limits of O - B.

    Attributes
    ----------
    background_deviation : (69,) array
        Standard deviation per channel, in the units of the state.
    background_check : float
        Largest |O - B| over the square root of the sum of both error variances.
    buddy_check : float
        As that, of the difference to the mean O - B of data of other stations nearby. It is for data whose own
        departure is larger than half of what the background check allows.
    buddy_distance_km : float
        How far these may be; in the vertical within 0.2 of ln p.
    """

    background_deviation: np.ndarray
    background_check: float
    buddy_check: float
    buddy_distance_km: float


def check_departures(
    table: Observations, departure: np.ndarray, background_deviation: np.ndarray, checks: DepartureChecks
) -> np.ndarray:
    """The column `rejection` after the checks of O - B.

    Parameters
    ----------
    departure, background_deviation : (rows,) arrays
        O - B, NaN where H is not defined, and the background's standard deviation there.
    """
    rejection = table.rejection.copy()
    judged = np.isin(rejection, (REASONS["used"], REASONS["withheld"])) & np.isfinite(departure)
    scale = np.hypot(background_deviation, table.error)
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
    _reject_whole_vectors(table, rejection)
    return rejection


def _reject_whole_vectors(table: Observations, rejection: np.ndarray) -> None:
    """Reject whole vectors if one component fails a check of O - B; in place."""
    checks = (REASONS["background_check"], REASONS["buddy_check"])
    judged = np.isin(rejection, (*checks, REASONS["used"], REASONS["withheld"]))
    component = judged & (_VECTORS[table.variable] != "")
    frame = _frame(table, component).assign(vector=_VECTORS[table.variable[component]])
    place = [name for name in frame if name != "variable"]
    report = frame.groupby(place, dropna=False, sort=False).ngroup()
    reason = pd.Series(rejection[component], frame.index).where(lambda code: code.isin(checks))
    worst = reason.groupby(report).transform("max").dropna()
    rejection[worst.index] = worst.astype("i1")


def _mean_of_buddies(
    table: Observations, departure: np.ndarray, rows: np.ndarray, buddies: np.ndarray, distance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean of O - B of other stations around each row, and their number."""
    mean = np.zeros(len(rows))
    count = np.zeros(len(rows), dtype=int)
    if not len(buddies):
        return mean, count
    position = np.column_stack([_on_sphere(table) * EARTH_RADIUS_KM / distance, _log_pressure(table) / 0.2])
    pairs = cKDTree(position[rows]).sparse_distance_matrix(cKDTree(position[buddies]), 1.0, output_type="ndarray")
    mine = rows[pairs["i"]]
    other = buddies[pairs["j"]]
    foreign = table.station[mine] != table.station[other]
    index = pairs["i"][foreign]
    weight = np.exp(-2.0 * pairs["v"][foreign] ** 2)
    np.add.at(count, index, 1)
    total = np.bincount(index, weight, minlength=len(rows))
    weighted = np.bincount(index, weight * departure[other[foreign]], minlength=len(rows))
    return np.divide(weighted, total, out=mean, where=total > 0), count


def _on_sphere(table: Observations) -> np.ndarray:
    """Places on the unit sphere, (rows, 3)."""
    latitude = np.radians(table.latitude.astype(float))
    longitude = np.radians(table.longitude.astype(float))
    return np.column_stack(
        [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)]
    )


def _log_pressure(table: Observations) -> np.ndarray:
    """Ln p; at the surface that of 1000 hPa, where it makes no difference."""
    return np.log(np.where(np.isfinite(table.pressure), table.pressure, 1000.0).astype(float))


def _frame(table: Observations, rows: np.ndarray) -> pd.DataFrame:
    """The columns that tell reports apart, for some rows, indexed by the rows' numbers."""
    names = ("variable", "pressure", "latitude", "longitude", "time", "time_offset", "station", "report_type")
    return pd.DataFrame({name: getattr(table, name)[rows] for name in names}, index=np.flatnonzero(rows))


def _withheld(table: Observations, settings: QualitySettings) -> np.ndarray:
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
