"""Departures as files of IODA, JEDI's Interface for Observation Data Access.

A file is an observation space of one cycle: netCDF-4 groups (MetaData, ObsValue, ObsError, hofx0, ...) over one
dimension, Location. A location is a report's place, time and height; what was measured there are variables of each
group, with fill values where a location lacks one.

Sources: layout, groups and fill values, docs/inside/conventions in https://github.com/JCSDA/jedi-docs; names and units,
share/ioda/yaml/validation/ObsSpace.yaml in https://github.com/JCSDA/ioda; flags, src/ufo/filters/QCflags.h in
https://github.com/JCSDA/ufo; signs, `ombg = yobs - H(xb)` of the local ensemble solvers in https://github.com/JCSDA/oops.
"""

from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pandas as pd

from .. import __version__
from ..files.atomic import atomic_write
from ..files.provenance import experiment_attributes
from ..observations.catalogue import types_among
from ..observations.heights import geometric_height
from ..observations.observation_type import IodaVariable, ObservationType
from ..observations.table import PASSED, REJECTIONS, Observations, read_observations
from .observation_spaces import GNSSRO, observation_spaces
from .results import Cycles

#: oops::missingValue of each type
FILL: dict[str, Any] = {
    "f4": np.float32(float(np.finfo(np.float32).min) * 0.99),
    "i4": np.int32(np.iinfo(np.int32).min + 5),
    "i8": np.int64(np.iinfo(np.int64).min + 7),
}
MISSING_TEXT = "*** MISSING ***"
#: attribute by which `command.outputs` knows such a file
LAYOUT = "_ioda_layout"

#: reason of rejection -> UFO's flag, of what comes closest
FLAGS = {
    "used": 0,  # pass
    "withheld": 1,  # passive: H(x) is computed, the datum is not assimilated
    "denied": 1,
    "outside_of_levels": 13,  # domain
    "not_in_state": 29,  # processed, H(x) deliberately not calculated
    "virtual_temperature": 11,  # preQC
    "quality_mark": 11,
    "gross_limits": 12,  # bounds
    "blacklist": 14,  # black
    "station_height": 17,  # diffref, metadata too far from reference
    "duplicate": 16,  # thinned
    "vertical_consistency": 24,  # profile
    "thinned": 16,
    "background_check": 19,  # fguess
    "buddy_check": 22,  # buddy
}
MISSING_FLAG = 10
_FLAG_OF = np.array([FLAGS[REJECTIONS[code]] for code in sorted(REJECTIONS)])

_PRE_QC = "0: passed all checks; else why not: " + ", ".join(
    f"{code} {name}" for code, name in REJECTIONS.items() if code not in PASSED
)
_EFFECTIVE_QC = "flags of UFO's QCflags.h: 0 used, 1 compared and not used, 10 missing, above 10 rejected"

#: what makes a location
_PLACE = ["latitude", "longitude", "seconds", "pressure", "height", "elevation", "station"]


def export_departures(cycles: Cycles, out: str | Path) -> str:
    """Write the departures of every cycle into a folder, one file per observation space that has data.

    What an unfinished run lacks is left out, since each cycle stands by itself. Files are named like those of JEDI,
    ``sondes_obs_2022013118.nc4``.

    Parameters
    ----------
    cycles : Cycles
    out : path
        Folder to write into.

    Returns
    -------
    str
        What was written, in words.

    Raises
    ------
    ValueError
        If there are no departures, if a table is damaged, or if IODA has no name for a type.
    """
    tables = cycles.files("observations.nc")
    if not tables:
        raise ValueError(
            f"{cycles.experiment}: none of its {len(cycles.folders)} cycles has an observations.nc yet; run the "
            "workflow first"
        )
    for path in tables.values():  # before anything is written
        _refuse_unnamed(path)
    written: dict[str, int] = {}
    for time, path in tables.items():
        table = read_observations(path)
        for space, rows in observation_spaces(table).items():
            attributes = {
                "description": f"Departures of {cycles.experiment}, {time:%Y-%m-%dT%H} UTC, {space}",
                **experiment_attributes(cycles.experiment),
                "sourceFiles": [f"{cycles.experiment}/{path.parent.name}/{path.name}"],
                "datetimeReference": f"{time:%Y-%m-%dT%H:%M:%SZ}",
            }
            write_space(Path(out) / f"{space}_obs_{time:%Y%m%d%H}.nc4", table.select(rows), space, attributes)
            written[space] = written.get(space, 0) + len(rows)
    counts = ", ".join(f"{count} of {space}" for space, count in sorted(written.items())) or "none"
    return f"cycles: {len(tables)}, data: {counts}"


def ioda_variable(kind: ObservationType) -> IodaVariable:
    """The variable of a type in IODA.

    Raises
    ------
    ValueError
        If the type declares none.
    """
    if kind.ioda is None:
        raise ValueError(
            f"{kind.name} has no name in IODA, so nothing is written; give the type an attribute ioda "
            "(docs/extending.md, Add a type of observation)"
        )
    return kind.ioda


def _refuse_unnamed(path: Path) -> None:
    """Refuse a table with data of types that have no name in IODA."""
    for kind in types_among(read_observations(path).variable):
        try:
            ioda_variable(kind)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None


def write_space(path: Path, table: Observations, space: str, attributes: dict[str, Any]) -> None:
    """Write the data of one observation space; those of one place, time and height share a location.

    Parameters
    ----------
    path : path
    table : Observations
    space : str
    attributes : dict
        Global attributes, in addition to those of every file.
    """
    location, first = locations(table)
    places = table.select(first)
    seconds = _seconds(places)
    span = [f"{pd.Timestamp(value, unit='s'):%Y-%m-%dT%H:%M:%SZ}" for value in (seconds.min(), seconds.max())]
    with atomic_write(path) as temporary, netCDF4.Dataset(temporary, "w") as dataset:
        dataset.setncattr_string(LAYOUT, "ObsGroup")
        dataset.setncattr("_ioda_layout_version", np.int32(0))
        dataset.setncatts({"source": f"lora-envar {__version__}", "converter": "lora-envar export"})
        dataset.setncatts({**attributes, "datetimeRange": span})
        dataset.createDimension("Location", len(first))
        dataset.createVariable("Location", "i8", ("Location",))[:] = np.arange(len(first))
        _write_places(dataset.createGroup("MetaData"), places, seconds, space)
        for kind in types_among(table.variable):
            rows = table.variable == kind.code
            _write_variable(dataset, ioda_variable(kind), table.select(rows), location[rows])


def locations(table: Observations) -> tuple[np.ndarray, np.ndarray]:
    """Which location each datum belongs to, and a datum of each.

    Data of one place, time, height and station share a location, but of two of the same variable the second gets
    another one: nothing is overwritten.

    Returns
    -------
    location : (rows,)
        Numbers from 0, in the order in which they come up in the table.
    first : (locations,)
        A row of each.
    """
    frame = pd.DataFrame({name: getattr(table, name) for name in _PLACE if name != "seconds"})
    frame["seconds"] = _seconds(table)
    frame["repetition"] = (
        frame.assign(variable=table.variable).groupby([*_PLACE, "variable"], dropna=False, sort=False).cumcount()
    )
    location = frame.groupby([*_PLACE, "repetition"], dropna=False, sort=False).ngroup().to_numpy()
    return location, np.unique(location, return_index=True)[1]


def _seconds(table: Observations) -> np.ndarray:
    """When data were measured, in seconds since 1970, (rows,)."""
    return table.time * 3600 + np.rint(np.nan_to_num(table.time_offset) * 3600.0).astype(np.int64)


def _write_places(group: netCDF4.Group, places: Observations, seconds: np.ndarray, space: str) -> None:
    """Write the places and times of locations, one row of `places` each."""
    placed = np.isfinite(places.height)
    # where a height places a datum, its pressure is but that of the standard atmosphere
    pressure = np.where(placed, np.nan, places.pressure * 100.0)
    height = geometric_height(places.height, places.latitude) if space == GNSSRO else places.height
    _put(group, "latitude", "f4", places.latitude, units="degree_north")
    _put(group, "longitude", "f4", places.longitude, units="degree_east")
    _put(group, "dateTime", "i8", seconds, units="seconds since 1970-01-01T00:00:00Z")
    _put(group, "pressure", "f4", pressure, units="Pa")
    _put(group, "geopotentialHeight", "f4", places.height, units="m")
    _put(group, "height", "f4", height, units="m")
    _put(group, "stationElevation", "f4", places.elevation, units="m")
    names = np.array([name.decode("ascii") or MISSING_TEXT for name in places.station], dtype=object)
    station = group.createVariable("stationIdentification", str, ("Location",), fill_value=MISSING_TEXT)
    station[:] = names


def _write_variable(dataset: netCDF4.Dataset, ioda: IodaVariable, data: Observations, location: np.ndarray) -> None:
    """The groups' variables of one type; `location` says where its data belong, (rows,)."""
    size = len(dataset.dimensions["Location"])

    def put(group: str, kind: str, values: np.ndarray, missing: Any, **attributes: str) -> None:
        column = np.full(size, missing)
        column[location] = values
        where = dataset.groups.get(group) or dataset.createGroup(group)
        _put(where, ioda.name, kind, column, **attributes)

    value = data.value.astype(float)
    scaled = {
        "ObsValue": value,
        "ObsError": data.error.astype(float),
        "hofx0": value - data.observation_minus_background,
        "hofx1": value - data.observation_minus_analysis,
        "ombg": data.observation_minus_background.astype(float),
        "oman": data.observation_minus_analysis.astype(float),
    }
    for group, values in scaled.items():
        put(group, "f4", values * ioda.factor, np.nan, units=ioda.units)
    passed = np.isin(data.rejection, PASSED)
    put("PreQC", "i4", np.where(passed, 0, data.rejection), FILL["i4"], long_name=_PRE_QC)
    flags = _FLAG_OF[data.rejection]
    put("EffectiveQC0", "i4", flags, MISSING_FLAG, long_name=_EFFECTIVE_QC)
    put("EffectiveQC1", "i4", flags, MISSING_FLAG, long_name=_EFFECTIVE_QC)
    # of real reports, whose types begin at 1
    real = data.report_type > 0
    marks = np.where(real, data.quality, FILL["i4"])
    put("QualityMarker", "i4", marks, FILL["i4"], long_name="quality mark of the report, NCEP's code")
    types = np.where(real, data.report_type, FILL["i4"])
    put("ObsType", "i4", types, FILL["i4"], long_name="report type, NCEP's code")


def _put(group: netCDF4.Group, name: str, kind: str, values: np.ndarray, **attributes: str) -> None:
    """Write a variable of a group; NaN becomes the fill value, since IODA has no NaN."""
    variable = group.createVariable(name, kind, ("Location",), fill_value=FILL[kind], compression="zlib", complevel=1)
    for key, text in attributes.items():
        variable.setncattr_string(key, text)
    variable[:] = np.where(np.isnan(values), FILL[kind], values) if kind == "f4" else values
