"""Observations as a table in netCDF: one row per datum, with the reason why it was or was not used."""

from dataclasses import dataclass, fields, replace
from os import PathLike
from typing import Any

import netCDF4
import numpy as np

from ..files.atomic import atomic_write
from ..files.netcdf import provenance
from .catalogue import CODES, by_code, name_of
from .limits import implausible
from .names import printable_names

#: codes of the column `rejection`; a withheld datum has passed all checks and is kept to judge the analysis, a denied
#: one is left out to see what its like bring
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
            "denied",
        )
    )
)
REASONS = {name: code for code, name in REJECTIONS.items()}
#: codes of what has passed all checks, so that it is compared with states
PASSED = tuple(REASONS[name] for name in ("used", "withheld", "denied"))

_REPORT_TYPES = "https://www.emc.ncep.noaa.gov/mmb/data_processing/prepbufr.doc/"

#: NCEP's quality marks, the codes of the column `quality`
QUALITY_MARKS = {
    0: "kept_by_hand",
    1: "good",
    2: "not_checked",
    3: "suspect",
    **{mark: f"rejected_{mark}" for mark in range(4, 16)},
    31: "missing",
}

#: column -> (netCDF type, attributes)
_COLUMNS: dict[str, tuple[str, dict[str, str]]] = {
    "variable": ("i1", {"long_name": "observed variable"}),
    "pressure": (
        "f4",
        {"long_name": "pressure, missing at the surface", "units": "hPa", "standard_name": "air_pressure"},
    ),
    "height": (
        "f4",
        {
            "long_name": "geopotential height, missing where the datum is placed by its pressure, or at the surface; "
            "where there is one, the pressure is that of the standard atmosphere",
            "units": "m",
            "standard_name": "geopotential_height",
        },
    ),
    "latitude": ("f4", {"long_name": "latitude", "units": "degrees_north", "standard_name": "latitude"}),
    "longitude": ("f4", {"long_name": "longitude", "units": "degrees_east", "standard_name": "longitude"}),
    "time": (
        "i8",
        {
            "long_name": "valid time at which the datum is used; it was measured `time_offset` later",
            "units": "hours since 1970-01-01",
            "calendar": "proleptic_gregorian",
            "standard_name": "time",
        },
    ),
    "time_offset": ("f4", {"long_name": "time of the report less valid time", "units": "hours"}),
    "elevation": (
        "f4",
        {"long_name": "height of the station above the sea, missing where not known", "units": "m"},
    ),
    "value": ("f4", {"long_name": "observed value, in the units of the variable"}),
    "error": (
        "f4",
        {"long_name": "standard deviation of the observation error, in the units of the variable"},
    ),
    "station": ("S8", {"long_name": "identifier of the station", "standard_name": "platform_id"}),
    "report_type": ("i2", {"long_name": "report type, NCEP's code, 0 for simulated", "references": _REPORT_TYPES}),
    "quality": ("i1", {"long_name": "quality mark of the report, NCEP's code, 0 for simulated"}),
    "observation_minus_background": ("f4", {"long_name": "O - B, in the units of the variable"}),
    "observation_minus_analysis": ("f4", {"long_name": "O - A, in the units of the variable"}),
    "background_error": (
        "f4",
        {
            "long_name": "standard deviation of the background's error there as the analysis assumed it, of a few "
            "random samples, in the units of the variable"
        },
    ),
    "rejection": ("i1", {"long_name": "why the datum was not used"}),
}
#: columns of mixed units, which the column `units` says
_MIXED = ("value", "error", "observation_minus_background", "observation_minus_analysis", "background_error")
#: columns that are missing unless they are given
_MISSING = ("observation_minus_background", "observation_minus_analysis", "background_error", "height", "elevation")
_COORDINATES = ("time", "latitude", "longitude", "pressure", "height", "elevation", "station")
_CODES_OF = {
    "variable": {code: name for name, code in CODES.items()},
    "rejection": REJECTIONS,
    "quality": QUALITY_MARKS,
}
#: units of each type, eight characters as names of stations are
_UNITS = by_code(lambda kind: kind.units, "").astype("S8")


@dataclass(frozen=True)
class Observations:
    """Columns of equal length; see `_COLUMNS` for meaning and units. Columns of the analysis are NaN before it.

    A datum above the surface is placed by its pressure, or by its geopotential height if that is not missing; its
    pressure is then that of the standard atmosphere, for checks and layers alone.
    """

    variable: np.ndarray
    pressure: np.ndarray
    height: np.ndarray
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
    background_error: np.ndarray
    rejection: np.ndarray

    @classmethod
    def build(cls, **columns: Any) -> "Observations":
        """A table of the given columns; heights, departures and codes that are not given are missing, or zero."""
        size = len(columns["value"])
        for name, (kind, _) in _COLUMNS.items():
            default = np.nan if name in _MISSING else 0
            columns[name] = np.asarray(columns.get(name, np.full(size, default)), dtype=kind)
        return cls(**columns)

    def __len__(self) -> int:
        return len(self.value)

    def select(self, rows: np.ndarray) -> "Observations":
        """Select some of the rows, by index or mask."""
        return Observations(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def at(self, times: list[int]) -> "Observations":
        """The rows that are used at one of the times, in hours since 1970."""
        return self.select(np.isin(self.time, times))

    def with_columns(self, **columns: np.ndarray) -> "Observations":
        """The table with some of its columns replaced."""
        return replace(self, **columns)


def concatenate(tables: list[Observations]) -> Observations:
    """Join tables, one after the other."""
    return Observations(**{name: np.concatenate([getattr(table, name) for table in tables]) for name in _COLUMNS})


def write_observations(
    path: str | PathLike[str], table: Observations, attributes: dict[str, Any] | None = None
) -> None:
    """Write a table completely or not at all.

    Parameters
    ----------
    attributes : dict, optional
        Global attributes in addition to those of `provenance`; a `title` replaces the general one.
    """
    general = {"title": "Observations, and what became of them", "featureType": "point"}
    with atomic_write(path) as temporary, netCDF4.Dataset(temporary, "w") as dataset:
        dataset.setncatts(provenance(**{**general, **(attributes or {})}))
        dataset.createDimension("observation", len(table))
        dataset.createDimension("character", 8)
        for name, (kind, described) in _COLUMNS.items():
            column = getattr(table, name)
            variable = _column(dataset, name, kind, printable_names(column) if kind == "S8" else column)
            variable.setncatts(described)
            if name not in _COORDINATES:
                variable.coordinates = " ".join(_COORDINATES)
            if name in _MIXED:
                variable.ancillary_variables = "units"
        for name, codes in _CODES_OF.items():
            dataset[name].flag_values = np.array(list(codes), dtype="i1")
            dataset[name].flag_meanings = " ".join(codes.values())
        units = _column(dataset, "units", "S8", _UNITS[table.variable])
        units.long_name = "units of value, error, O - B and O - A"
        units.coordinates = " ".join(_COORDINATES)


def _column(dataset: netCDF4.Dataset, name: str, kind: str, values: np.ndarray) -> netCDF4.Variable:
    """Declare a column of a table; texts as characters, numbers that may be missing with a fill value."""
    text = kind == "S8"
    variable = dataset.createVariable(
        name,
        "S1" if text else kind,
        ("observation", "character") if text else ("observation",),
        compression="zlib",
        complevel=1,
        shuffle=True,
        fill_value=np.float32(np.nan) if kind == "f4" else False,
    )
    variable[:] = netCDF4.stringtochar(values) if text else values
    if text:
        variable._Encoding = "ascii"  # by which xarray reads it as text
    return variable


def read_observations(path: str | PathLike[str]) -> Observations:
    """Read a table.

    Raises
    ------
    ValueError
        If the file is missing or truncated, or if a column is missing or has values or errors that cannot be used.
    """
    try:
        with netCDF4.Dataset(path) as dataset:
            dataset.set_auto_mask(False)
            dataset.set_auto_chartostring(False)
            columns = {name: dataset[name][:] for name in _COLUMNS}
            columns["station"] = _texts(columns["station"])
            units = _texts(dataset["units"][:]) if "units" in dataset.variables else None
            table = Observations(**columns)
    except (OSError, IndexError, RuntimeError) as error:
        raise ValueError(f"{path} is damaged, or is not a table of observations ({error}); make it again") from error
    for name in ("value", "error", "latitude", "longitude"):
        if not np.isfinite(getattr(table, name)).all():
            raise ValueError(f"{path}: column {name} has values that are not finite; make the file again")
    if not (table.error > 0).all():
        raise ValueError(f"{path}: column error has values that are not positive; make the file again")
    if not np.isin(table.rejection, list(REJECTIONS)).all():
        raise ValueError(
            f"{path}: column rejection has codes that are not within 0 to {max(REJECTIONS)}; make the file again"
        )
    passed = np.isin(table.rejection, PASSED)
    if wrong := implausible(columns, passed):
        raise ValueError(f"{path}: {wrong}; correct what made the table, and make it again")
    if units is not None and (foreign := units != _UNITS[table.variable]).any():
        row = np.flatnonzero(foreign)[0]
        name = name_of(table.variable[row])
        raise ValueError(
            f"{path}: column units gives {units[row].decode('ascii', 'replace')!r} for {name}, which is in "
            f"{_UNITS[table.variable[row]].decode()} here; convert its values"
        )
    return table


def _texts(characters: np.ndarray) -> np.ndarray:
    """Characters of shape (rows, 8) as texts, shape (rows,)."""
    return np.ascontiguousarray(characters).view("S8").ravel()
