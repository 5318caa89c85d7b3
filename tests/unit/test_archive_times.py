"""Valid times: every form of base time and lead, one rule of rounding, and what is missing named with its times."""

import sys
import types

import numpy as np
import pytest
import xarray as xr
from archive_files import GRID, STAMPS, TIMES, assert_same, dataset, reference, states_from_dataset, write_grib
from conftest import prepared
from lora_envar.archive import SOURCES
from lora_envar.archive.layout import IncompleteError
from lora_envar.archive.opening import SourceError
from lora_envar.archive.prepare import read_states
from lora_envar.fields.state import LEVELS, SURFACE, UPPER_AIR

HOURS = np.array([0, 6])
DAY = np.arange("2022-01-01", "2022-01-02", np.timedelta64(1, "h"), dtype="datetime64[h]").astype("datetime64[ns]")


def one_run(step, name="step", base="time", **attributes):
    """A forecast from 00, with leads of 0 and 6 h."""
    return dataset("short").rename(time=name).assign_coords({name: (name, step, attributes), base: STAMPS[0]})


@pytest.mark.parametrize("kind", [np.int16, np.int64, np.float32, np.float64])
@pytest.mark.parametrize(("units", "per_hour"), [("hours", 1), ("hr", 1), ("minutes", 60), ("seconds", 3600)])
def test_leads_of_any_type_and_units_are_added_to_the_base_time(units, per_hour, kind):
    assert states_from_dataset(one_run((HOURS * per_hour).astype(kind), units=units), "some file")[0] == TIMES
    days = one_run((HOURS / 24).astype(np.float32), units="days")
    assert states_from_dataset(days, "some file")[0] == TIMES


@pytest.mark.parametrize(
    "name",
    ["step", "forecast_period", "leadtime", "prediction_timedelta", "forecast_hour", "forecast_time0", "mine"],
)
def test_leads_are_known_by_name_or_units_in_files_too(tmp_path, name):
    run = one_run(HOURS, name, units="hours")
    assert states_from_dataset(run, "some file")[0] == TIMES
    run.to_netcdf(tmp_path / "run.nc")
    assert read_states([tmp_path / "run.nc"]).times == TIMES


def test_durations_of_unknown_names_are_refused_where_they_may_be_anything():
    """On an axis of its own a duration is a lead; a single one may be the length of a time step as well."""
    base = dataset("short")
    for lead in (xr.Variable((), 6, {"units": "hours"}), xr.Variable("time", [6, 6], {"units": "hours"})):
        with pytest.raises(ValueError, match=r"a coordinate mine \(6 hours\), which may or may not be the lead time"):
            states_from_dataset(base.assign_coords(mine=lead), "some file")
    harmless = base.assign_coords(mine=xr.Variable((), 0, {"units": "hours"}))
    harmless = harmless.assign_coords(hour=("time", [0, 6], {"units": "hours"}))
    assert states_from_dataset(harmless, "some file")[0] == TIMES


def test_timedeltas_are_leads_in_memory_and_in_files(tmp_path):
    run = one_run(HOURS.astype("timedelta64[h]").astype("timedelta64[ns]"))
    assert states_from_dataset(run, "some file")[0] == TIMES
    run.to_netcdf(tmp_path / "run.nc")
    assert read_states([tmp_path / "run.nc"]).times == TIMES


def test_leads_that_cannot_be_read_are_refused():
    for attributes in ({}, {"units": "1"}, {"units": "months"}):
        with pytest.raises(
            ValueError, match=r"some file: the lead times of u10 \(step: .* cannot be read; give them un"
        ):
            states_from_dataset(one_run(HOURS, **attributes), "some file")
    with pytest.raises(ValueError, match="lead times"):
        states_from_dataset(one_run(np.array([0.0, np.nan]), units="hours"), "some file")
    bare = one_run(HOURS, units="hours").drop_vars("step")
    with pytest.raises(ValueError, match="the dimension step of u10 has no values"):
        states_from_dataset(bare, "some file")


@pytest.mark.parametrize("base", ["forecast_reference_time", "reftime", "initial_time0_hours", "time"])
def test_one_lead_of_several_base_times(base):
    runs = dataset("short").rename({} if base == "time" else {"time": base})
    runs = runs.assign_coords({base: STAMPS - np.timedelta64(6, "h")})
    lead = xr.Variable((), 6, {"units": "hours"})
    assert states_from_dataset(runs.assign_coords(step=lead), "some file")[0] == TIMES
    along = xr.Variable((base,), [6, 6], {"units": "hours"})
    assert states_from_dataset(runs.assign_coords(forecast_period=along), "some file")[0] == TIMES
    if base != "time":
        with pytest.raises(ValueError, match=f"a base time \\({base}\\) but no lead time"):
            states_from_dataset(runs, "some file")


def test_valid_times_of_cf_are_not_shifted_and_unclear_ones_are_refused():
    """By CF, time is the valid time, with the reference time and the period beside it."""
    lead = xr.Variable((), 6, {"units": "hours", "standard_name": "forecast_period"})
    valid = dataset("short").assign_coords(forecast_period=lead)
    valid["time"].attrs["standard_name"] = "time"
    with pytest.raises(ValueError, match="base time or the valid time; rename it"):
        states_from_dataset(valid, "some file")
    known = valid.assign_coords(forecast_reference_time=("time", STAMPS - np.timedelta64(6, "h")))
    assert states_from_dataset(known, "some file")[0] == TIMES
    named = valid.rename(time="valid_time")
    assert states_from_dataset(named, "some file")[0] == TIMES
    analyses = valid.assign_coords(forecast_period=xr.Variable((), 0, lead.attrs))
    assert states_from_dataset(analyses, "some file")[0] == TIMES


def test_grib_forecasts_of_two_base_times_in_one_file_are_read_as_in_two(tmp_path):
    """The first run at 0 h and 6 h, the second at 12 h: no times at which nothing is."""
    stamps = STAMPS[0] + np.array([0, 6, 12, 24], dtype="timedelta64[h]")
    whole, names = dataset("short", stamps), (*SURFACE, *UPPER_AIR)
    for number, step in enumerate((0, 6, 0, 12)):
        write_grib(tmp_path / "both.grib", whole.isel(time=[number]), names, append=True, step=step)
        write_grib(tmp_path / f"part_{number}.grib", whole.isel(time=[number]), names, step=step)
    both = read_states([tmp_path / "both.grib"])
    assert [time.hour + 24 * (time.day - 1) for time in both.times] == [0, 6, 12, 24]
    assert "left out" not in "".join(both.report)
    assert_same(both.fields, reference(stamps))
    apart = read_states([tmp_path / f"part_{number}.grib" for number in range(4)])
    np.testing.assert_array_equal(apart.fields, both.fields)
    assert apart.times == both.times


def test_two_forecasts_of_one_valid_time_in_a_grib_file_are_refused(tmp_path):
    whole = dataset("short").isel(time=[1])
    write_grib(tmp_path / "x.grib", whole, SURFACE)
    write_grib(tmp_path / "x.grib", whole, SURFACE, append=True, step=6)
    with pytest.raises(SourceError, match=r"x\.grib has two forecasts of 10u .* from 20220101 0600 and 20220101 0000"):
        read_states([tmp_path / "x.grib"])


def test_a_table_of_base_times_and_steps_may_have_holes(tmp_path):
    """As xarray makes of forecasts of different lengths: the hole is no second value of its valid time."""
    steps = np.array([0, 6], dtype="timedelta64[h]").astype("timedelta64[ns]")
    whole = dataset("short", STAMPS[0] + np.array([0, 6, 12], dtype="timedelta64[h]"))
    # the run from 00 has the analysis alone, that from 06 the analysis and 6 h
    first = whole.isel(time=[0]).rename(time="step").assign_coords(step=steps[:1]).reindex(step=steps)
    second = whole.isel(time=[1, 2]).rename(time="step").assign_coords(step=steps)
    table = xr.concat([first, second], "time", combine_attrs="override").assign_coords(time=STAMPS)
    for name in whole.data_vars:
        table[name].attrs = whole[name].attrs
    times, _, states = states_from_dataset(table, "some file")
    assert [time.hour for time in times] == [0, 6, 12]
    np.testing.assert_allclose(states, reference(whole.time.values), rtol=1e-6)


@pytest.mark.parametrize("seconds", [-0.01, 0.02, 20.0, -20.0])
def test_times_are_rounded_to_minutes_by_both_readers(tmp_path, seconds):
    folder = tmp_path / "in"
    folder.mkdir()
    near = STAMPS + np.timedelta64(round(seconds * 1e9), "ns")
    dataset("short").assign_coords(time=near).to_netcdf(folder / "x.nc", encoding={"time": {"dtype": "f8"}})
    assert read_states([folder / "x.nc"]).times == TIMES
    SOURCES["files"].fetch({"path": str(folder)}, TIMES, tmp_path / "raw.nc")
    assert prepared(tmp_path / "raw.nc", GRID, None)[0] == TIMES


def test_times_that_are_not_whole_hours_are_refused(tmp_path):
    late = dataset("short").assign_coords(time=STAMPS + np.timedelta64(15, "m"))
    late.to_netcdf(tmp_path / "x.nc")
    with pytest.raises(
        ValueError, match=r"x\.nc has fields valid at 2022-01-01T00:15, 2022-01-01T06:15, but states must"
    ):
        read_states([tmp_path / "x.nc"])
    with pytest.raises(SourceError, match="no file of 1 has a state valid at 2022-01-01T00, 2022-01-01T06"):
        SOURCES["files"].fetch({"path": str(tmp_path)}, TIMES, tmp_path / "out" / "raw.nc")


def test_times_that_are_missing_in_a_folder_are_named_at_once(tmp_path):
    dataset("short").isel(time=[0]).to_netcdf(tmp_path / "first.nc")
    raw = tmp_path / "out" / "raw.nc"
    with pytest.raises(SourceError, match=r"missing: everything at 2022-01-01T06; .*Add the missing fields"):
        SOURCES["files"].fetch({"path": str(tmp_path)}, TIMES, raw)
    assert not raw.exists()
    dataset("short")[list(SURFACE)].to_netcdf(tmp_path / "surface.nc")
    with pytest.raises(SourceError, match=r"missing: z \(all levels\), .* t \(all levels\) at 2022-01-01T06; found"):
        SOURCES["files"].fetch({"path": str(tmp_path)}, TIMES, raw)
    dataset("short").isel(time=[1]).to_netcdf(tmp_path / "second.nc")
    SOURCES["files"].fetch({"path": str(tmp_path)}, TIMES, raw)
    assert prepared(raw, GRID, None)[0] == TIMES


def test_a_store_without_a_time_or_level_is_refused(tmp_path):
    dataset().to_zarr(tmp_path / "store.zarr")
    later = [TIMES[0], TIMES[1].replace(hour=12)]
    with pytest.raises(SourceError, match=r"store\.zarr does not have the times 2022-01-01T12"):
        SOURCES["arco"].fetch({"path": str(tmp_path / "store.zarr")}, later, tmp_path / "raw.nc")
    dataset().sel(level=list(LEVELS[1:])).to_zarr(tmp_path / "low.zarr")
    with pytest.raises(SourceError, match=r"low\.zarr does not have 50 hPa"):
        SOURCES["arco"].fetch({"path": str(tmp_path / "low.zarr")}, TIMES, tmp_path / "raw.nc")
    assert not (tmp_path / "raw.nc").exists()


def test_an_hour_without_values_in_a_store_is_named(tmp_path):
    store = dataset()
    store["temperature"][1] = np.nan
    store.to_zarr(tmp_path / "store.zarr")
    with pytest.raises(
        SourceError, match=r"store\.zarr: fields are missing: t \(all levels\) at 2022-01-01T06; found: u10"
    ):
        SOURCES["arco"].fetch({"path": str(tmp_path / "store.zarr")}, TIMES, tmp_path / "raw.nc")
    assert not (tmp_path / "raw.nc").exists()
    store.to_netcdf(tmp_path / "raw.nc")
    with pytest.raises(IncompleteError, match=r"raw\.nc: fields are missing: t \(all levels\) at 2022-01-01T06"):
        prepared(tmp_path / "raw.nc", GRID, None)


def test_whole_times_are_used_and_the_others_named(tmp_path):
    """The surface every hour, upper air every six."""
    whole = dataset("short", DAY)
    whole[list(SURFACE)].to_netcdf(tmp_path / "surface.nc")
    whole[list(UPPER_AIR)].isel(time=slice(None, None, 6)).to_netcdf(tmp_path / "upper.nc")
    found = read_states([tmp_path / "surface.nc", tmp_path / "upper.nc"])
    assert [time.hour for time in found.times] == [0, 6, 12, 18]
    np.testing.assert_allclose(found.fields, reference(DAY)[::6], rtol=1e-6)
    assert found.missing == ()
    line = next(line for line in found.report if line.startswith("left out"))
    assert "20 of 24 times" in line and "missing are z (all levels), q (all levels)" in line
    assert "at 2022-01-01T01, 2022-01-01T02, 2022-01-01T03 and 17 more up to 2022-01-01T23" in line


def test_files_of_which_no_time_is_whole_are_refused_with_both_gaps(tmp_path):
    dataset("short")[list(SURFACE)].to_netcdf(tmp_path / "surface.nc")
    later = dataset("short")[list(UPPER_AIR)].assign_coords(time=STAMPS + np.timedelta64(24, "h"))
    later.to_netcdf(tmp_path / "upper.nc")
    with pytest.raises(IncompleteError) as error:
        read_states([tmp_path / "surface.nc", tmp_path / "upper.nc"])
    assert "t (all levels) at 2022-01-01T00, 2022-01-01T06; u10, v10, t2m, msl at 2022-01-02T00" in str(error.value)


def test_holes_are_named_with_time_and_number(tmp_path):
    holed = dataset("short")
    holed["q"][1, 9, 2, 3] = np.nan
    holed.to_netcdf(tmp_path / "x.nc")
    for partial in (False, True):
        with pytest.raises(ValueError, match=r"x\.nc: q700 has .* not finite at 2022-01-01T06: 1 of 84 points"):
            read_states([tmp_path / "x.nc"], partial=partial)


def test_what_the_climate_data_store_sends_is_checked_and_asked_for_again(tmp_path, monkeypatch):
    """Fields of another day, as many as were asked for: they are refused, and not taken again at the next start."""
    day = {"sent": STAMPS + np.timedelta64(24, "h"), "requests": 0}

    class Client:
        def __init__(self, **_):
            pass

        def retrieve(self, name, request, target):
            day["requests"] += 1
            write_grib(target, dataset("short", day["sent"]), SURFACE if "single" in name else UPPER_AIR)

    monkeypatch.setitem(sys.modules, "cdsapi", types.SimpleNamespace(Client=Client))
    raw = tmp_path / "raw.nc"
    with pytest.raises(
        SourceError, match="Climate Data Store: fields are missing: everything at 2022-01-01T00, 2022-01-01T06"
    ):
        SOURCES["cds"].fetch({}, TIMES, raw)
    assert not list(tmp_path.iterdir())
    day["sent"] = STAMPS
    SOURCES["cds"].fetch({}, TIMES, raw)
    assert day["requests"] == 4
    assert_same(prepared(raw, GRID, None)[1], reference())


@pytest.mark.parametrize("attributes", [{}, {"standard_name": "forecast_period"}])
def test_leads_that_a_file_does_not_call_a_coordinate_are_leads(tmp_path, attributes):
    """As files not written by xarray have them: a variable along time, or of no dimension."""
    name = "x" if attributes else "leadtime"
    runs = dataset("short").assign_coords(time=STAMPS - np.timedelta64(6, "h"))
    for lead in (((), 6), ("time", [6, 6])):
        path = tmp_path / f"{len(lead[0])}.nc"
        runs.assign({name: (*lead, {"units": "hours", **attributes})}).to_netcdf(path)
        assert read_states([path]).times == TIMES
    # a variable in hours that is no lead
    dataset("short").assign(timestep=((), 6, {"units": "hours"})).to_netcdf(tmp_path / "analyses.nc")
    assert read_states([tmp_path / "analyses.nc"]).times == TIMES
