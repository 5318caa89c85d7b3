"""Files of IODA as observations: what is exported comes back, what others write is read, what is wrong is named."""

import netCDF4
import numpy as np
import pytest
from conftest import ROOT
from lora_envar.export.ioda import write_space
from lora_envar.export.observation_spaces import observation_spaces
from lora_envar.fields.constants import GRAVITY
from lora_envar.fields.timeline import from_hours
from lora_envar.observations import NETWORKS
from lora_envar.observations.brought_tables import read_tables
from lora_envar.observations.catalogue import CODES, name_of
from lora_envar.observations.error_table import ErrorTable
from lora_envar.observations.heights import geometric_height, geopotential_height
from lora_envar.observations.quality import QualitySettings, select
from lora_envar.observations.table import REASONS
from results_folder import START, table

ERRORS = ErrorTable(ROOT / "resources" / "observation_errors.csv")
SECONDS = 1640995200 + 6 * 3600  # 2022-01-01T06


def quiet(_):
    return None


def rows(observations, stations):
    """Rows in an order of their own, as far as IODA holds them; what has no station gets a name by its place."""
    return sorted(
        (
            name_of(code),
            round(float(latitude), 4),
            round(float(longitude) % 360, 4),
            # where a height places a datum, its pressure is that of the standard atmosphere
            f"{pressure:.3f}" if np.isnan(height) else f"{height:.1f}",
            station if station in stations else b"",
            int(kind),
        )
        for code, latitude, longitude, pressure, height, station, kind in zip(
            observations.variable,
            observations.latitude,
            observations.longitude,
            observations.pressure,
            observations.height,
            observations.station,
            observations.report_type,
            strict=True,
        )
    )


def test_what_is_exported_comes_back(tmp_path):
    given = table(START)
    files = []
    for space, chosen in observation_spaces(given).items():
        files.append(tmp_path / f"{space}.nc4")
        write_space(files[-1], given.select(chosen), space, {})
    found = read_tables(files, ERRORS, START, progress=quiet)
    stations = set(given.station)
    assert rows(found, stations) == rows(given, stations)
    by_variable = {code: np.sort(given.value[given.variable == code]) for code in np.unique(given.variable)}
    for code, values in by_variable.items():
        np.testing.assert_allclose(np.sort(found.value[found.variable == code]), values, rtol=1e-6)
        errors = np.sort(given.error[given.variable == code])
        np.testing.assert_allclose(np.sort(found.error[found.variable == code]), errors, rtol=1e-6)
    np.testing.assert_allclose(np.sort(found.time_offset), np.sort(given.time_offset), atol=1 / 3600)


def write(path, values, where=None, errors=None, marks=None, types=None, time_name="dateTime"):
    """A file as others write them: integers without fill values' attributes, stations as texts."""
    count = len(next(iter(values.values())))
    places = {
        "latitude": np.linspace(10, 40, count),
        "longitude": np.linspace(-30, 30, count),
        "pressure": np.full(count, 50000.0),
        **(where or {}),
    }
    with netCDF4.Dataset(path, "w") as dataset:
        dataset.createDimension("Location", count)
        meta = dataset.createGroup("MetaData")
        for name, column in places.items():
            meta.createVariable(name, "f4", ("Location",), fill_value=-3.3687953e38)[:] = column
        time = meta.createVariable(time_name, "i8", ("Location",))
        time.units = "seconds since 1970-01-01T00:00:00Z"
        time[:] = SECONDS + 60 * np.arange(count)
        names = meta.createVariable("stationIdentification", str, ("Location",))
        names[:] = np.array([f"S{index}" for index in range(count)], dtype=object)
        for group, kind, columns in (
            ("ObsValue", "f4", values),
            ("ObsError", "f4", errors or {}),
            ("PreQC", "i4", marks or {}),
            ("ObsType", "i4", types or {}),
        ):
            if columns:
                created = dataset.createGroup(group)
                for name, column in columns.items():
                    created.createVariable(name, kind, ("Location",))[:] = column
    return path


CYCLE = from_hours(SECONDS // 3600)


def test_units_marks_types_and_missing_values_are_understood(tmp_path):
    path = write(
        tmp_path / "sondes.nc4",
        {"airTemperature": [250.0, 251.0, -3.3687953e38], "geopotentialHeight": [5600.0, 5610.0, 5620.0]},
        errors={"airTemperature": [0.8, 0.9, 1.0]},
        marks={"airTemperature": [2, 9, 2], "geopotentialHeight": [-2147483643, 1, 2]},
        types={"airTemperature": [120, 120, 120]},
    )
    said = []
    found = read_tables([path], ERRORS, CYCLE, progress=said.append)
    temperature = found.select(found.variable == CODES["t"])
    assert temperature.value.tolist() == [250.0, 251.0]
    assert temperature.error.tolist() == pytest.approx([0.8, 0.9])
    assert temperature.quality.tolist() == [2, 9]
    assert temperature.report_type.tolist() == [120, 120]
    assert temperature.pressure.tolist() == [500.0, 500.0]
    assert temperature.station.tolist() == [b"S0", b"S1"]
    assert temperature.time_offset.tolist() == pytest.approx([0.0, 1 / 60], abs=1e-6)
    heights = found.select(found.variable == CODES["z"])
    np.testing.assert_allclose(heights.value, np.array([5600.0, 5610.0, 5620.0]) * GRAVITY, rtol=1e-6)
    assert heights.quality.tolist() == [2, 1, 2], "not checked where the file does not say"
    checked = select(found, QualitySettings(largest_quality_mark=2, thinning_km=None, withheld=0.0))
    rejected = checked.rejection[(checked.variable == CODES["t"]) & (checked.value == 251.0)]
    assert rejected.tolist() == [REASONS["quality_mark"]]
    assert said == []


def test_data_of_the_surface_have_no_height(tmp_path):
    path = write(tmp_path / "sfc.nc4", {"airTemperatureAt2M": [280.0]}, {"stationElevation": [12.0]})
    found = read_tables([path], ERRORS, CYCLE, progress=quiet)
    assert np.isnan(found.pressure).all() and np.isnan(found.height).all()
    assert found.elevation.tolist() == [12.0]


def test_geometric_heights_place_refractivity(tmp_path):
    path = write(
        tmp_path / "gnssro.nc4", {"atmosphericRefractivity": [40.0]}, {"pressure": [np.nan], "height": [16000.0]}
    )
    found = read_tables([path], ERRORS, CYCLE, progress=quiet)
    assert found.height[0] == pytest.approx(geopotential_height(np.array([16000.0]), np.array([10.0]))[0], abs=0.01)
    assert 15900 < found.height[0] < 16000


def test_heights_there_and_back():
    height = np.array([0.0, 1000.0, 30000.0, 60000.0])
    latitude = np.array([0.0, 45.0, -60.0, 90.0])
    np.testing.assert_allclose(geopotential_height(geometric_height(height, latitude), latitude), height, atol=1e-8)


def test_what_the_state_has_no_type_for_is_named_and_left_aside(tmp_path):
    path = write(tmp_path / "mixed.nc4", {"airTemperature": [250.0], "ozoneProfile": [1.0]})
    said = []
    assert len(read_tables([path], ERRORS, CYCLE, progress=said.append)) == 1
    assert said == [f"{path}: the variables ozoneProfile are ignored"]
    path = write(tmp_path / "ozone.nc4", {"ozoneProfile": [1.0]})
    with pytest.raises(ValueError, match=r"ozone\.nc4 has none of the variables .*; it has ozoneProfile"):
        read_tables([path], ERRORS, CYCLE, progress=quiet)


def test_damaged_and_foreign_files_are_named(tmp_path):
    whole = write(tmp_path / "whole.nc4", {"airTemperature": [250.0]})
    with netCDF4.Dataset(tmp_path / "other.nc4", "w") as dataset:
        dataset.createDimension("x", 1)
    with pytest.raises(
        ValueError, match=r"other\.nc4 is netCDF-4 or HDF5, and neither a table in CSV or Parquet nor a file"
    ):
        read_tables([tmp_path / "other.nc4"], ERRORS, CYCLE, progress=quiet)
    cut = tmp_path / "cut.nc4"
    cut.write_bytes(whole.read_bytes()[:-500])
    with pytest.raises(ValueError, match=r"cut\.nc4"):
        read_tables([cut], ERRORS, CYCLE, progress=quiet)
    old = write(tmp_path / "old.nc4", {"airTemperature": [250.0]}, time_name="datetime")
    with pytest.raises(
        ValueError, match=r"old\.nc4: the group MetaData has no dateTime; give files of IODA's version 3"
    ):
        read_tables([old], ERRORS, CYCLE, progress=quiet)


def test_the_network_is_one_of_tables():
    assert NETWORKS["ioda"].checked
    assert NETWORKS["ioda"].own_files({"path": "sondes_%Y%m%d%H.nc4"}, CYCLE) == ["sondes_2022010106.nc4"]
