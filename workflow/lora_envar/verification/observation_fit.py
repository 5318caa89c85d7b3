"""How well backgrounds and analyses fit observations, those used and those withheld, and what was rejected and why."""

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
    "interpolated",
    "rms_interpolation",
    "rms_analysis_there",
]


def fit(tables: Iterable[Observations]) -> pd.DataFrame:
    """Bias and root mean square of O - B and O - A per report type, variable and level, in the units of the state.

    The level is the nearest of the state, 0 at the surface. Of withheld data, `rms_interpolation` is the root mean
    square difference to the linear interpolation between used observations of the same variable and pressure, the
    baseline that needs no model; `interpolated` is the number of data that have one, and `rms_analysis_there` is of
    O - A of the same data.
    """
    parts = []
    for table in tables:
        status = np.select(
            [table.rejection == REASONS["used"], table.rejection == REASONS["withheld"]], ["used", "withheld"], ""
        )
        rows = (status != "") & np.isfinite(table.observation_minus_analysis)
        part = table.select(rows)
        interpolated = part.value - interpolate(part, status[rows] == "used")
        there = np.isfinite(interpolated)
        ob = part.observation_minus_background.astype(float)
        oa = part.observation_minus_analysis.astype(float)
        frame = pd.DataFrame(
            {
                "report_type": part.report_type,
                "variable": names_of(part.variable),
                "level": nearest_level(part.pressure),
                "status": status[rows],
                "count": 1,
                "ob": ob,
                "ob2": ob**2,
                "oa": oa,
                "oa2": oa**2,
                "error2": part.error.astype(float) ** 2,
                "interpolated": there.astype(int),
                "interpolated2": np.where(there, interpolated, 0.0) ** 2,
                "there2": np.where(there, oa, 0.0) ** 2,
            }
        )
        parts.append(frame.groupby(KEYS, as_index=False).sum())
    sums = pd.concat(parts).groupby(KEYS, as_index=False).sum()
    count = sums["count"]
    found = sums.interpolated.where(sums.interpolated > 0)
    result = sums[[*KEYS, "count"]].assign(
        bias_background=sums.ob / count,
        rms_background=(sums.ob2 / count) ** 0.5,
        bias_analysis=sums.oa / count,
        rms_analysis=(sums.oa2 / count) ** 0.5,
        observation_error=(sums.error2 / count) ** 0.5,
        interpolated=sums.interpolated,
        rms_interpolation=(sums.interpolated2 / found) ** 0.5,
        rms_analysis_there=(sums.there2 / found) ** 0.5,
    )
    return result[FIT_COLUMNS]


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
    parts = [
        pd.DataFrame(
            {
                "report_type": table.report_type,
                "variable": names_of(table.variable),
                "reason": np.array(list(REASONS))[table.rejection],
            }
        )
        .value_counts()
        .rename("count")
        .reset_index()
        for table in tables
    ]
    keys = ["report_type", "variable", "reason"]
    return pd.concat(parts).groupby(keys, as_index=False)["count"].sum()


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
    """Root mean square over groups of data; not a number where there are none."""
    weights = rows["count"] if weights is None else weights
    total = weights.sum()
    return float(((rows[column] ** 2 * weights).sum() / total) ** 0.5) if total else float("nan")
