"""Files that others read: the compliance checker of IOOS finds nothing of high priority, xarray reads what is meant.

The checker brings its table of standard names with it, and asks no network for files that name no other table.
"""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import torch
import xarray as xr
from lora_envar.analysis.increments import Increments, write_increments
from lora_envar.analysis.single import Response
from lora_envar.background.training_set import write_samples
from lora_envar.example_world.packed import write_coefficients
from lora_envar.fields.grid import Grid
from lora_envar.files.ensemble_file import read_ensemble, write_ensemble
from lora_envar.files.netcdf import provenance
from lora_envar.files.state_file import StateFile, read_state, write_forecast, write_standard_error, write_states
from lora_envar.observations.single import parse_single
from lora_envar.observations.table import CODES, REASONS, read_observations, write_observations
from test_reports import fitted

GRID = Grid("gaussian", 16, 32)
TIME = datetime(2009, 1, 1, tzinfo=UTC)
LATER = [TIME + timedelta(hours=hours) for hours in (6, 12)]
STATES = np.random.default_rng(1).normal(size=(2, 69, *GRID.shape)).astype("f4")
ABOUT = {"title": "Made for a test", "experiment": "a_seed_2", "seed": 2, "settings_digest": "abc"}


def coefficients(path, attributes=None):
    times = np.datetime64("2009-01-01T00", "h") + 6 * np.arange(40)
    attributes = provenance(**(attributes or {"title": "Coefficients"}))
    write_coefficients(path, times, torch.randn(40, 69, 16), packed=True, attributes=attributes)


def increments(path, attributes=None):
    """Of a filter, which has no gradient, and of one that has."""
    observations = [parse_single("z500@45N,30W+100"), parse_single("t2m@30S,0E")]
    made = {
        name: {time: [Response(STATES[0], 1.5, 0.5, 0.2, reduction, 7) for _ in observations] for time in LATER}
        for name, reduction in (("letkf", np.nan), ("3dvar", 1e-3))
    }
    write_increments(path, Increments.of(GRID, observations, made), attributes)


WRITERS = {
    "states": lambda path, about=None: write_states(path, STATES, LATER, GRID, about),
    "members": lambda path, about=None: write_states(path, STATES, LATER, GRID, about, start=TIME),
    "forecast": lambda path, about=None: write_forecast(path, STATES, TIME, [6, 12], GRID, about),
    "ensemble": lambda path, about=None: write_ensemble(path, STATES, TIME, GRID, about),
    "standard_error": lambda path, about=None: write_standard_error(path, np.abs(STATES[0]), TIME, GRID, about),
    "climatology": lambda path, about=None: write_states(
        path, STATES[:1], [TIME], GRID, about, {"anomaly_standard_deviation": np.ones(69)}
    ),
    "training_set": lambda path, about=None: write_samples(path, [([0, 6], STATES)], GRID, about),
    "observations": lambda path, about=None: write_observations(path, fitted(), about),
    "packed": coefficients,
    "increments": increments,
}


def complaints(path) -> tuple[list[str], list[str]]:
    """What is wrong at high priority, and the checks that failed by a fault of their own."""
    program = Path(__file__).with_name("compliance.py")
    done = subprocess.run([sys.executable, program, path], capture_output=True, text=True, check=True)
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["checks"] > 20, "the checks did not run"
    return said["found"], said["faults"]


@pytest.mark.parametrize("kind", list(WRITERS))
def test_the_checker_finds_nothing_of_high_priority(kind, tmp_path):
    WRITERS[kind](tmp_path / "file.nc")
    found, faults = complaints(tmp_path / "file.nc")
    assert found == []
    # the checker looks for an identifier of points, which CF does not know
    assert faults == (["check_domain_variables"] if kind == "observations" else [])


def test_the_checker_would_find_something(tmp_path):
    WRITERS["states"](tmp_path / "file.nc")
    with netCDF4.Dataset(tmp_path / "file.nc", "a") as dataset:
        dataset["temperature"].units = "m"
    assert any("temperature" in message for message in complaints(tmp_path / "file.nc")[0])


@pytest.mark.parametrize("kind", WRITERS)
def test_files_say_what_made_them_and_are_the_same_bytes(kind, tmp_path):
    torch.manual_seed(1)
    WRITERS[kind](tmp_path / "one.nc", ABOUT)
    torch.manual_seed(1)
    WRITERS[kind](tmp_path / "other.nc", ABOUT)
    assert (tmp_path / "one.nc").read_bytes() == (tmp_path / "other.nc").read_bytes()
    with netCDF4.Dataset(tmp_path / "one.nc") as dataset:
        said = dataset.__dict__
    assert said["Conventions"] == "CF-1.11" and said["source"].startswith("lora-envar ")
    assert {name: said[name] for name in ABOUT} == ABOUT
    assert "history" not in said


@pytest.mark.parametrize("kind", WRITERS)
def test_every_kind_of_file_has_a_title(kind, tmp_path):
    WRITERS[kind](tmp_path / "file.nc")
    with netCDF4.Dataset(tmp_path / "file.nc") as dataset:
        assert dataset.title


def test_members_know_their_start_and_lead(tmp_path):
    WRITERS["members"](tmp_path / "members.nc")
    with xr.open_dataset(tmp_path / "members.nc", decode_timedelta=True) as dataset:
        assert dataset.title.startswith("Trajectory of one forecast")
        assert dataset.title.endswith("that starts at 2009-01-01T00 UTC")
        field = dataset.temperature
        assert field.forecast_reference_time.values == np.datetime64("2009-01-01T00")
        assert (field.forecast_reference_time + field.forecast_period == field.time).all()
    assert StateFile(tmp_path / "members.nc").times == LATER


def test_forecasts_are_read_by_weatherbench_and_by_us(tmp_path):
    """WeatherBench-X renames `time` to init_time and `prediction_timedelta` to lead_time, and adds them up."""
    WRITERS["forecast"](tmp_path / "forecast.nc")
    with xr.open_dataset(tmp_path / "forecast.nc") as dataset:
        renamed = dataset.rename({"time": "init_time", "prediction_timedelta": "lead_time"})
        assert renamed.geopotential.dims == ("init_time", "lead_time", "level", "latitude", "longitude")
        assert renamed["2m_temperature"].dims == ("init_time", "lead_time", "latitude", "longitude")
        assert np.issubdtype(renamed.lead_time.dtype, np.timedelta64)
        assert (renamed.init_time + renamed.lead_time == renamed.valid_time).all()
        assert (renamed.init_time == renamed.forecast_reference_time).all()
        assert renamed.lead_time.values.astype("timedelta64[h]").astype(int).tolist() == [6, 12]
        chosen = renamed.temperature.sel(init_time="2009-01-01", lead_time="12h", level=850).squeeze()
        np.testing.assert_array_equal(chosen.values, STATES[1, 66])
    file = StateFile(tmp_path / "forecast.nc")
    assert file.times == LATER
    for time, state in zip(LATER, STATES, strict=True):
        np.testing.assert_array_equal(file.read(time), state)
    with pytest.raises(ValueError, match="has no state valid at 2009-01-01T00"):
        file.read(TIME)


def test_a_standard_error_says_so_by_its_standard_names_and_is_read_like_a_state(tmp_path):
    WRITERS["standard_error"](tmp_path / "spread.nc")
    np.testing.assert_array_equal(read_state(tmp_path / "spread.nc", GRID), np.abs(STATES[0]))
    with netCDF4.Dataset(tmp_path / "spread.nc") as dataset:
        assert dataset["temperature"].standard_name == "air_temperature standard_error"
        assert dataset["temperature"].units == "K"
        assert dataset["10m_u_component_of_wind"].standard_name == "eastward_wind standard_error"


def test_ensembles_are_read_as_they_were_written(tmp_path):
    path = tmp_path / "ensemble.nc"
    WRITERS["ensemble"](path)
    members, grid = read_ensemble(path, TIME)
    assert grid == GRID
    np.testing.assert_array_equal(members, STATES)
    with xr.open_dataset(path) as dataset:
        assert dataset.temperature.dims == ("member", "level", "latitude", "longitude")
        assert dataset.temperature.time == np.datetime64("2009-01-01T00")
        np.testing.assert_array_equal(dataset["2m_temperature"].sel(member=1), STATES[1, 2])
    with pytest.raises(ValueError, match="is valid at 2009-01-01T00, but must be valid at 2009-01-01T06"):
        read_ensemble(path, LATER[0])
    WRITERS["states"](tmp_path / "states.nc")
    with pytest.raises(ValueError, match="is not an ensemble of this workflow"):
        read_ensemble(tmp_path / "states.nc", LATER[0])
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ValueError, match="is not an ensemble of this workflow"):
        read_ensemble(path, TIME)


def test_forecasts_of_several_starts_are_read_by_valid_time(tmp_path):
    """As `xarray` joins them."""
    for day in (0, 1):
        write_forecast(tmp_path / f"{day}.nc", STATES + day, TIME + timedelta(days=day), [6, 12], GRID)
    parts = [xr.load_dataset(tmp_path / f"{day}.nc") for day in (0, 1)]
    both = xr.concat(parts, "time", data_vars="all", combine_attrs="override")
    both.to_netcdf(tmp_path / "both.nc", encoding={"time": {"units": "hours since 1970-01-01", "dtype": "i8"}})
    file = StateFile(tmp_path / "both.nc")
    assert file.times == [*LATER, *(time + timedelta(days=1) for time in LATER)]
    np.testing.assert_array_equal(file.read(LATER[1] + timedelta(days=1)), STATES[1] + 1)


def test_forecasts_are_checked_as_states_are(tmp_path):
    with pytest.raises(ValueError, match="there are 2 states, but 3 leads"):
        write_forecast(tmp_path / "forecast.nc", STATES, TIME, [6, 12, 18], GRID)
    states = STATES.copy()
    states[1, 0, 3, 4] = np.nan
    with pytest.raises(ValueError, match="u10 has values that are not finite"):
        write_forecast(tmp_path / "forecast.nc", states, TIME, [6, 12], GRID)


def test_observations_are_read_by_others(tmp_path):
    table = fitted()
    table = table.with_columns(station=np.array([b"71082", b"KLM", b"", b"A", b"12345678", b"B"], "S8"))
    write_observations(tmp_path / "table.nc", table)
    with xr.open_dataset(tmp_path / "table.nc") as dataset:
        assert dataset.station.values.tolist() == ["71082", "KLM", "", "A", "12345678", "B"]
        assert dataset.units.values.tolist() == ["K"] * 6
        places = {"latitude", "longitude", "pressure", "height", "elevation", "station"}
        assert set(dataset.value.coords) == {"time", *places}
        for name, codes in (("variable", CODES), ("rejection", REASONS)):
            meanings = dataset[name].attrs["flag_meanings"].split()
            assert dict(zip(meanings, dataset[name].attrs["flag_values"].tolist(), strict=True)) == codes
        assert all(column.attrs.get("long_name") for column in dataset.variables.values())
    assert read_observations(tmp_path / "table.nc").station.tolist() == table.station.tolist()
