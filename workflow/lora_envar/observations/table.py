"""Observations as a table in netCDF: one row per datum, and why it was or was not used."""

from dataclasses import dataclass, fields, replace

import netCDF4
import numpy as np

from ..files import whole
from ..state import VARIABLES
from ..state_file import provenance
from .limits import implausible
from .names import printable_names

#: codes of the column `variable`, in the order of `VARIABLES`
CODES = {name: code for code, name in enumerate(VARIABLES)}

#: codes of the column `rejection`; a withheld datum has passed all checks and is kept to judge the analysis
REJECTIONS = dict(
    enumerate(
        (
            "used",
            "outside_of_levels",
            "not_in_state",
            "virtual_temperature",
            "quality_mark",
            "gross_limits",
            "blacklist",
            "station_height",
            "duplicate",
            "vertical_consistency",
            "thinned",
            "background_check",
            "buddy_check",
            "withheld",
        )
    )
)
REASONS = {name: code for code, name in REJECTIONS.items()}

#: column -> (netCDF type, long name, units)
_COLUMNS = {
    "variable": ("i1", "observed variable", None),
    "pressure": ("f4", "pressure, missing at the surface", "hPa"),
    "latitude": ("f4", "latitude", "degrees_north"),
    "longitude": ("f4", "longitude", "degrees_east"),
    "time": ("i8", "valid time at which the datum is used", "hours since 1970-01-01"),
    "time_offset": ("f4", "time of the report less valid time", "hours"),
    "elevation": ("f4", "height of the station above the sea, missing where not known", "m"),
    "value": ("f4", "observed value, in the units of the state", None),
    "error": ("f4", "standard deviation of the observation error, in the units of the state", None),
    "station": ("S8", "identifier of the station", None),
    "report_type": ("i2", "report type, 0 for simulated", None),
    "quality": ("i1", "quality mark of the report, 0 for simulated", None),
    "observation_minus_background": ("f4", "O - B", None),
    "observation_minus_analysis": ("f4", "O - A", None),
    "rejection": ("i1", "why the datum was not used", None),
}


@dataclass(frozen=True)
class Observations:
    """Columns of equal length; see `_COLUMNS` for meaning and units. Departures are NaN before an analysis."""

    variable: np.ndarray
    pressure: np.ndarray
    latitude: np.ndarray
    longitude: np.ndarray
    time: np.ndarray
    time_offset: np.ndarray
    elevation: np.ndarray
    value: np.ndarray
    error: np.ndarray
    station: np.ndarray
    report_type: np.ndarray
    quality: np.ndarray
    observation_minus_background: np.ndarray
    observation_minus_analysis: np.ndarray
    rejection: np.ndarray

    @classmethod
    def build(cls, **columns) -> "Observations":
        """A table of the given columns; departures and codes that are not given are missing, or zero."""
        size = len(columns["value"])
        for name, (kind, *_) in _COLUMNS.items():
            default = np.nan if name.startswith("observation_minus") or name == "elevation" else 0
            columns[name] = np.asarray(columns.get(name, np.full(size, default)), dtype=kind)
        return cls(**columns)

    def __len__(self):
        return len(self.value)

    def select(self, rows: np.ndarray) -> "Observations":
        return Observations(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def with_columns(self, **columns) -> "Observations":
        return replace(self, **columns)


def concatenate(tables: list[Observations]) -> Observations:
    """Tables one after the other."""
    return Observations(**{name: np.concatenate([getattr(table, name) for table in tables]) for name in _COLUMNS})


def write_observations(path, table: Observations, attributes: dict | None = None):
    """Write a table whole or not at all."""
    with whole(path) as temporary, netCDF4.Dataset(temporary, "w") as dataset:
        dataset.setncatts(provenance(featureType="point", **(attributes or {})))
        dataset.createDimension("observation", len(table))
        dataset.createDimension("character", 8)
        for name, (kind, long_name, units) in _COLUMNS.items():
            text = kind == "S8"
            variable = dataset.createVariable(
                name,
                "S1" if text else kind,
                ("observation", "character") if text else ("observation",),
                compression="zlib",
                complevel=1,
                shuffle=True,
                fill_value=False,
            )
            variable.long_name = long_name
            if units:
                variable.units = units
            column = getattr(table, name)
            variable[:] = netCDF4.stringtochar(printable_names(column)) if text else column
        for name, codes in (("variable", {code: name for name, code in CODES.items()}), ("rejection", REJECTIONS)):
            dataset[name].flag_values = np.array(list(codes), dtype="i1")
            dataset[name].flag_meanings = " ".join(codes.values())


def read_observations(path) -> Observations:
    """Read a table.

    Raises
    ------
    ValueError
        If the file is missing, truncated, lacks a column, or holds values or errors that cannot be used.
    """
    try:
        with netCDF4.Dataset(path) as dataset:
            dataset.set_auto_mask(False)
            dataset.set_auto_chartostring(False)
            columns = {name: dataset[name][:] for name in _COLUMNS}
            columns["station"] = np.ascontiguousarray(columns["station"]).view("S8").ravel()
            table = Observations(**columns)
    except (OSError, IndexError, RuntimeError) as error:
        raise ValueError(f"{path}: not a whole table of observations ({error}); remake it") from error
    for name in ("value", "error", "latitude", "longitude"):
        if not np.isfinite(getattr(table, name)).all():
            raise ValueError(f"{path}: column {name} holds values that are not finite")
    if not (table.error > 0).all():
        raise ValueError(f"{path}: column error holds values that are not positive")
    if not np.isin(table.rejection, list(REJECTIONS)).all():
        raise ValueError(f"{path}: column rejection holds codes that are none of 0 to {max(REJECTIONS)}; remake it")
    passed = np.isin(table.rejection, (REASONS["used"], REASONS["withheld"]))
    if wrong := implausible(columns, passed):
        raise ValueError(f"{path}: {wrong}; mend what made the table, or remake it")
    return table


def attribute(path, name: str) -> float:
    """A number that `write_observations` was given as an attribute."""
    try:
        with netCDF4.Dataset(path) as dataset:
            return float(dataset.getncattr(name))
    except (OSError, AttributeError) as error:
        raise ValueError(f"{path}: attribute {name} cannot be read ({error}); remake the file") from error
