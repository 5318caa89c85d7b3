"""How well backgrounds and analyses fit used and withheld observations, and what was rejected and why."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy.interpolate import LinearNDInterpolator

from ..fields.state import LEVELS
from ..observations.catalogue import TYPES, names_of
from ..observations.table import REASONS, Observations

KEYS = ["report_type", "variable", "level", "status"]
FIT_COLUMNS = [
    *KEYS,
    "count",
    "bias_background",
    "rms_background",
    "bias_analysis",
    "rms_analysis",
    "observation_error",
    "background_error",
    "estimated_observation_error",
    "estimated_background_error",
    "background_over_error",
    "analysis_over_error",
    "background_over_expected",
    "interpolated",
    "rms_interpolation",
    "rms_analysis_there",
]
#: what data that are compared with states can be
STATUSES = ("used", "withheld", "denied", "rejected")
#: and the codes of `rejection` that make them so
_OF_STATUS = (("used",), ("withheld",), ("denied",), ("background_check", "buddy_check"))


def fit(tables: Iterable[Observations]) -> pd.DataFrame:
    """Fit of backgrounds and analyses to data, per report type, variable, level and status.

    The level is the nearest of the state, 0 at the surface. The status is of `STATUSES`: rejected are those whose
    departures are too large, as H is not applied to what a check before has rejected.

    Returns
    -------
    DataFrame
        With `FIT_COLUMNS`. In the units of the state: bias and root mean square of O - B and O - A, and root mean
        squares of the assumed errors of observations and backgrounds. Of used data these errors as Desroziers et al.
        (2005, https://doi.org/10.1256/qj.05.108) estimate them, sqrt(mean (O - A)(O - B)) and
        sqrt(mean (A - B)(O - B)); not numbers where such a mean is negative. Root mean squares of O - B and O - A over
        the assumed observation error, and of O - B over sqrt(mean of both assumed variances), which is 1 where these
        are right. Of withheld data, `rms_interpolation` is the root mean square difference to the linear interpolation
        between used observations of the same variable and pressure, the baseline that needs no model; `interpolated`
        is the number of data that have one, and `rms_analysis_there` is of O - A of the same data.
    """
    return fit_of_sums(map(sums_of, tables))


def fit_of_sums(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """The table of `fit`, of what `sums_of` gave for each table."""
    sums = pd.concat(parts).groupby(KEYS, as_index=False).sum()
    count = sums["count"]
    found = sums.interpolated.where(sums.interpolated > 0)
    used = sums.status == "used"
    known = sums.known.where(sums.known > 0)
    result = sums[[*KEYS, "count"]].assign(
        bias_background=sums.ob / count,
        rms_background=(sums.ob2 / count) ** 0.5,
        bias_analysis=sums.oa / count,
        rms_analysis=(sums.oa2 / count) ** 0.5,
        observation_error=(sums.error2 / count) ** 0.5,
        background_error=(sums.background2 / known) ** 0.5,
        estimated_observation_error=_root((sums.oaob / count).where(used)),
        estimated_background_error=_root(((sums.ob2 - sums.oaob) / count).where(used)),
        background_over_error=(sums.ob2_over_error / count) ** 0.5,
        analysis_over_error=(sums.oa2_over_error / count) ** 0.5,
        background_over_expected=(sums.ob2_known / (sums.error2_known + sums.background2)) ** 0.5,
        interpolated=sums.interpolated,
        rms_interpolation=(sums.interpolated2 / found) ** 0.5,
        rms_analysis_there=(sums.there2 / found) ** 0.5,
    )
    return result[FIT_COLUMNS]


def status_of(table: Observations) -> np.ndarray:
    """Of every row one of `STATUSES`; empty where it was not compared with background and analysis, (rows,)."""
    compared = np.isfinite(table.observation_minus_background) & np.isfinite(table.observation_minus_analysis)
    of_reason = [np.isin(table.rejection, [REASONS[name] for name in names]) & compared for names in _OF_STATUS]
    return np.select(of_reason, STATUSES, "")


def sums_of(table: Observations) -> pd.DataFrame:
    """Sums over the data of one table, by `KEYS`."""
    status = status_of(table)
    part = table.select(status != "")
    status = status[status != ""]
    interpolated = np.full(len(part), np.nan)
    if "withheld" in status:
        judged = np.isin(status, ("used", "withheld"))
        values = interpolate(part.select(judged), status[judged] == "used")
        interpolated[judged] = part.value[judged] - values
    there = np.isfinite(interpolated)
    ob = part.observation_minus_background.astype(float)
    oa = part.observation_minus_analysis.astype(float)
    error2 = part.error.astype(float) ** 2
    background2 = part.background_error.astype(float) ** 2
    known = np.isfinite(background2)
    frame = pd.DataFrame(
        {
            "report_type": part.report_type,
            "variable": names_of(part.variable),
            "level": nearest_level(part.pressure),
            "status": status,
            "count": 1,
            "ob": ob,
            "ob2": ob**2,
            "oa": oa,
            "oa2": oa**2,
            "oaob": oa * ob,
            "error2": error2,
            "ob2_over_error": ob**2 / error2,
            "oa2_over_error": oa**2 / error2,
            "known": known.astype(int),
            "background2": np.where(known, background2, 0.0),
            "error2_known": np.where(known, error2, 0.0),
            "ob2_known": np.where(known, ob**2, 0.0),
            "interpolated": there.astype(int),
            "interpolated2": np.where(there, interpolated, 0.0) ** 2,
            "there2": np.where(there, oa, 0.0) ** 2,
        }
    )
    return frame.groupby(KEYS, as_index=False).sum()


def _root(values: pd.Series) -> pd.Series:
    """Square roots; NaN for negative values."""
    return values.where(values >= 0) ** 0.5


def nearest_level(pressure: np.ndarray) -> np.ndarray:
    """The state's level nearest in log pressure, hPa; 0 at the surface."""
    depth = np.log(np.where(np.isfinite(pressure), pressure, LEVELS[-1]).astype(float))
    nearest = np.array(LEVELS)[np.abs(depth[:, None] - np.log(LEVELS)).argmin(axis=1)]
    return np.where(np.isfinite(pressure), nearest, 0)


def interpolate(table: Observations, used: np.ndarray) -> np.ndarray:
    """Values at data that are not used, linear in latitude and longitude between used ones; shape (rows,).

    Used ones of the same variable and pressure (within 0.5 %); not a number outside of their hull, and where there are
    fewer than four.
    """
    result = np.full(len(table), np.nan)
    depth = np.where(np.isfinite(table.pressure), np.rint(np.log(np.nan_to_num(table.pressure, nan=1.0)) * 100), -1)
    group = (
        pd.DataFrame({"variable": table.variable, "depth": depth, "by_height": np.isfinite(table.height)})
        .groupby(["variable", "depth", "by_height"])
        .ngroup()
        .to_numpy()
    )
    for number in np.unique(group[~used]):
        rows = group == number
        sources = np.flatnonzero(rows & used)
        targets = np.flatnonzero(rows & ~used)
        if len(sources) < 4:
            continue
        # copies to both sides make longitude periodic
        longitude = np.concatenate([table.longitude[sources] + turn for turn in (-360.0, 0.0, 360.0)])
        points = np.column_stack([np.tile(table.latitude[sources], 3), longitude])
        values = np.tile(table.value[sources].astype(float), 3)
        if np.ptp(table.latitude[sources]) == 0:  # all on one line: there is no triangle between them
            continue
        at = np.column_stack([table.latitude[targets], table.longitude[targets]])
        result[targets] = LinearNDInterpolator(points, values)(at)
    return result


def rejections(tables: Iterable[Observations]) -> pd.DataFrame:
    """Number of data by report type, variable and reason (`used` and `withheld` among them)."""
    return rejections_of_counts(map(counts_of, tables))


def rejections_of_counts(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """The table of `rejections`, of what `counts_of` gave for each table."""
    return pd.concat(parts).groupby(["report_type", "variable", "reason"], as_index=False)["count"].sum()


def counts_of(table: Observations) -> pd.DataFrame:
    """Number of data of one table by report type, variable and reason."""
    columns = {
        "report_type": table.report_type,
        "variable": names_of(table.variable),
        "reason": np.array(list(REASONS))[table.rejection],
    }
    return pd.DataFrame(columns).value_counts().rename("count").reset_index()


#: variables in the order in which they are shown; other types follow
_ORDER = ("z", "t", "u", "v", "q", "u10", "v10", "t2m", "msl")
#: variable and level (0: surface) -> units and factor by which fits to observations are shown
SHOWN = {
    (name, level): TYPES[name].shown_units or (TYPES[name].units, 1.0)
    for name in dict.fromkeys((*_ORDER, *TYPES))
    for level in TYPES[name].shown_levels
}


def shown(fits: pd.DataFrame, rejections: pd.DataFrame) -> list[tuple[str, str, list[str], list[list[str]]]]:
    """What a page shows of tables of `fit` and `rejections` that have a column `experiment`.

    Returns
    -------
    list of (title, text, headers, rows)
    """
    # one that used no datum is in the table of rejections alone
    experiments = list(dict.fromkeys([*rejections.experiment, *fits.experiment]))
    if not experiments:
        return []
    tables = []
    for status in ("withheld", "used"):
        if status == "withheld" and status not in set(fits.status):
            continue
        rows = []
        for (variable, level), (units, factor) in SHOWN.items():
            chosen = fits[(fits.status == status) & (fits.variable == variable) & (fits.level == level)]
            if chosen.empty:
                continue
            groups = {name: chosen[chosen.experiment == name] for name in experiments}
            cells = [
                " / ".join(f"{_pooled(group, f'rms_{kind}') * factor:.3g}" for kind in ("background", "analysis"))
                if len(group)
                else "no data"
                for group in groups.values()
            ]
            first = next(group for group in groups.values() if len(group))
            row = [f"{variable}{level or ''}, {units}", str(int(first["count"].sum())), *cells]
            if status == "withheld":
                row.append(f"{_pooled(first, 'rms_interpolation', first.interpolated) * factor:.3g}")
            rows.append(row)
        about = "Root mean square of O - B / O - A, all report types."
        headers = ["", "data", *experiments]
        if status == "withheld":
            about += " Interpolation: linear, between used data of the same variable and pressure."
            headers.append("interpolation")
        tables.append((f"Fit to {status} observations", about, headers, rows))
    counts = rejections.pivot_table(index="reason", columns="experiment", values="count", aggfunc="sum", fill_value=0)
    counts = counts.reindex(columns=experiments, fill_value=0).sort_values(experiments[0], ascending=False)
    rows = [[name, *(str(int(value)) for value in row)] for name, row in counts.iterrows()]
    tables.append(("Data by what became of them", "After the spin-up.", ["", *experiments], rows))
    return tables


def _pooled(rows: pd.DataFrame, column: str, weights: pd.Series | None = None) -> float:
    """Root mean square over groups of data; NaN where there are none."""
    weights = rows["count"] if weights is None else weights
    total = weights.sum()
    return float(((rows[column] ** 2 * weights).sum() / total) ** 0.5) if total else float("nan")
