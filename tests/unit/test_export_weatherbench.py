"""Exports for WeatherBench-X: what is exported equals what is in our files, at the place that a lead says."""

import tracemalloc
from datetime import timedelta

import numpy as np
import pytest
import xarray as xr
import yaml
from lora_envar.command import main
from lora_envar.fields.grid import Grid
from lora_envar.fields.state import CHANNELS, VARIABLES
from lora_envar.fields.timeline import name
from lora_envar.files.state_file import StateFile, write_states
from results_folder import GRID, LEADS, START, analysed, cycle, forecast, truth, write_results
from test_compliance import complaints

STATE_BYTES = 69 * GRID.nlat * GRID.nlon * 4


@pytest.fixture
def results(tmp_path):
    return write_results(tmp_path)


def export(*paths, out):
    return main(["export", "--to", "weatherbench-x", *map(str, paths), "-o", str(out)])


def exported(*paths, out):
    assert export(*paths, out=out) == 0
    return xr.load_dataset(out)


def naive(time):
    return np.datetime64(time.replace(tzinfo=None), "ns")


def channels(dataset):
    """States of a dataset whose only other dimensions have been selected, (69, lat, lon)."""
    fields = []
    for channel in CHANNELS:
        field = dataset[VARIABLES[channel.variable][0]]
        fields.append(field if channel.level is None else field.sel(level=channel.level))
    return np.stack([field.values for field in fields])


def test_every_value_stands_where_start_and_lead_say(results, tmp_path):
    dataset = exported(results / "hybrid", out=tmp_path / "p.nc")
    assert dataset.geopotential.dims == ("init_time", "lead_time", "level", "latitude", "longitude")
    assert dataset["2m_temperature"].dims == ("init_time", "lead_time", "latitude", "longitude")
    assert dataset.lead_time.dtype == "timedelta64[ns]"
    assert (dataset.lead_time.values / np.timedelta64(1, "h")).tolist() == [0, *LEADS]
    assert (dataset.init_time + dataset.lead_time == dataset.valid_time).all()
    for number in range(4):
        start = cycle(number)
        at_start = dataset.sel(init_time=naive(start))
        np.testing.assert_array_equal(channels(at_start.sel(lead_time="0h")), analysed(start))
        for lead in LEADS:
            found = channels(at_start.sel(lead_time=np.timedelta64(lead, "h")))
            if number in (0, 2):
                np.testing.assert_array_equal(found, forecast(start, lead))
            else:
                assert np.isnan(found).all(), "there is no forecast from there"


def test_targets_are_the_archive(results, tmp_path):
    dataset = exported(results / "archive", out=tmp_path / "t.nc")
    assert dataset.geopotential.dims == ("time", "level", "latitude", "longitude")
    assert dataset.sizes["time"] == 12
    for number in range(12):
        np.testing.assert_array_equal(channels(dataset.sel(time=naive(cycle(number)))), truth(cycle(number)))
    np.testing.assert_array_equal(StateFile(tmp_path / "t.nc").read(cycle(5)), truth(cycle(5)))


def test_files_and_folders_of_the_archive_are_the_same(results, tmp_path):
    files = sorted((results / "archive" / "states").glob("*.nc"))
    for index, paths in enumerate(([results / "archive"], [results / "archive" / "states"], files, files[::-1])):
        assert export(*paths, out=tmp_path / f"{index}.nc") == 0
        assert (tmp_path / f"{index}.nc").read_bytes() == (tmp_path / "0.nc").read_bytes()


def test_loaders_find_predictions_and_their_targets(results, tmp_path):
    """`PredictionsFromXarray` and `TargetsFromXarray` rename and select so; an error of the lead must come out."""
    predictions = exported(results / "hybrid", out=tmp_path / "p.nc")
    targets = exported(results / "archive", out=tmp_path / "t.nc").rename({"time": "valid_time"})
    starts = np.array([naive(cycle(0)), naive(cycle(2))])
    leads = np.array(LEADS, "timedelta64[h]").astype("timedelta64[ns]")
    chunk = predictions.sel(init_time=starts, lead_time=leads)
    valid = xr.DataArray(starts, coords={"init_time": starts}) + xr.DataArray(leads, coords={"lead_time": leads})
    error = chunk - targets.sel(valid_time=valid)
    assert error.temperature.sizes["init_time"] == 2
    # `forecast` is the truth of the valid time plus the lead in days; 300 K have 3e-5 K for a last digit
    expected = error.lead_time / np.timedelta64(1, "D")
    assert abs(error.temperature - expected).max() < 1e-4
    assert abs(error["2m_temperature"] - expected).max() < 1e-4


def test_a_place_without_a_forecast_takes_no_space(results, tmp_path):
    assert export(results / "hybrid", out=tmp_path / "p.nc") == 0
    states = 4 + 2 * len(LEADS)
    size = (tmp_path / "p.nc").stat().st_size
    assert states * STATE_BYTES < size < (states + 1) * STATE_BYTES, "4 x 3 states would be 12"


def test_states_are_written_one_at_a_time(tmp_path):
    """Memory does not grow with the length of a run: six states would fit into what thirty may take."""
    write_results(tmp_path, cycles=30, forecasts=())
    assert export(tmp_path / "results" / "hybrid", out=tmp_path / "warm.nc") == 0  # what is imported once
    tracemalloc.start()
    assert export(tmp_path / "results" / "hybrid", out=tmp_path / "p.nc") == 0
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * STATE_BYTES


def test_checkers_find_nothing_and_bytes_are_the_same(results, tmp_path):
    for kind, source in (("p", results / "hybrid"), ("t", results / "archive")):
        assert export(source, out=tmp_path / f"{kind}.nc") == 0
        assert complaints(tmp_path / f"{kind}.nc")[0] == []
        first = (tmp_path / f"{kind}.nc").read_bytes()
        assert export(source, out=tmp_path / f"{kind}.nc") == 0, "an export may be replaced"
        assert (tmp_path / f"{kind}.nc").read_bytes() == first
    found = xr.open_dataset(tmp_path / "p.nc").attrs
    assert found["experiment"] == "hybrid" and "missing_analyses" not in found
    (results / "hybrid").rename(results / "hybrid_seed_2")
    assert exported(results / "hybrid_seed_2", out=tmp_path / "s.nc").attrs["seed"] == 2


def test_single_cycles_can_be_exported(results, tmp_path):
    dataset = exported(*sorted((results / "hybrid").glob("2022*"))[1:3], out=tmp_path / "p.nc")
    assert dataset.init_time.values.tolist() == [naive(cycle(1)).astype(int), naive(cycle(2)).astype(int)]


def test_a_half_made_run_is_exported_and_what_it_lacks_is_named(results, tmp_path, capsys):
    (results / "hybrid" / name(cycle(1)) / "analysis.nc").unlink()
    dataset = exported(results / "hybrid", out=tmp_path / "p.nc")
    assert dataset.sizes["init_time"] == 3
    assert dataset.attrs["missing_analyses"] == name(cycle(1))
    said = capsys.readouterr().out
    assert f"hybrid: analysis.nc is missing at 1 of 4 times, which are left out: {name(cycle(1))}" in said
    assert "analyses: 3, forecasts: 2, at leads of 0 h, 24 h, 48 h" in said


def test_the_run_s_record_says_which_cycles_are_to_come(results, tmp_path, config, capsys):
    """Cycles that have not begun have no folder; results/configuration.yaml knows them, and the forecasts to be."""
    end = START + timedelta(hours=6 * 9)
    config["experiments"]["hybrid"]["period"] = [f"{START:%Y-%m-%dT%H}", f"{end:%Y-%m-%dT%H}"]
    config["archive"] |= {"start": "2021-12-01T00", "end": "2022-03-01T00"}
    config["verification"] |= {"spin_up_cycles": 0, "forecast": {"every_hours": 12, "lead_hours": LEADS}}
    (results / "configuration.yaml").write_text(yaml.safe_dump({"configuration": config}))
    dataset = exported(results / "hybrid", out=tmp_path / "p.nc")
    assert dataset.attrs["missing_analyses"].split() == [name(cycle(number)) for number in range(4, 10)]
    assert dataset.attrs["missing_forecasts"].split() == [name(cycle(number)) for number in (4, 6, 8)]
    said = capsys.readouterr().out
    assert (
        f"analysis.nc is missing at 6 of 10 times, which are left out: {name(cycle(4))}" in said
        and "and 2 more" in said
    )
    assert f"forecast.nc is missing at 3 of 5 times, which are left out: {name(cycle(4))}" in said


@pytest.mark.parametrize("record", ["not: [whole", "configuration: {}", "configuration: {experiments: {other: {}}}"])
def test_a_record_of_another_run_does_not_stand_in_the_way(results, tmp_path, record):
    (results / "configuration.yaml").write_text(record)
    assert exported(results / "hybrid", out=tmp_path / "p.nc").sizes["init_time"] == 4


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        (["nowhere"], "nowhere does not exist; give the folder of an experiment, such as results/hybrid"),
        ([""], "results has the experiments hybrid; give the folder of an experiment"),
        (["empty"], "empty has no cycles (folders with names such as 20090501T06)"),
        (["hybrid", "other"], "hybrid, other are several experiments; export each by itself"),
        (["hybrid", "archive"], "archive has no cycles"),
        (["archive/climatology.nc"], "climatology.nc is the climatology, not states"),
        (["archive", "archive/states"], "does; leave one of them out"),
        (["hybrid/scores"], "scores has no cycles"),
        (["loose/notes.nc"], "notes.nc is damaged, or is not a state file"),
    ],
)
def test_what_is_no_result_is_named(results, tmp_path, capsys, paths, said):
    (results / "empty").mkdir()
    (results / "loose").mkdir()
    (results / "loose" / "notes.nc").write_text("By hand.\n")
    write_states(results / "other" / name(START) / "analysis.nc", truth(START)[None], [START], GRID)
    if "other" not in paths:
        (results / "other").rename(tmp_path / "other")
    assert export(*(results / path for path in paths), out=tmp_path / "p.nc") == 1
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert not (tmp_path / "p.nc").exists()


def test_without_an_analysis_there_is_nothing_to_export(results, tmp_path, capsys):
    for path in (results / "hybrid").glob("*/analysis.nc"):
        path.unlink()
    assert export(results / "hybrid", out=tmp_path / "p.nc") == 1
    assert "hybrid: none of its 4 cycles has an analysis.nc yet" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["analysis", "archive"])
def test_grids_are_not_mixed(results, tmp_path, capsys, kind):
    other = Grid("gaussian", 8, 16)
    time = cycle(1) if kind == "analysis" else cycle(40)
    path = results / "hybrid" / name(time) if kind == "analysis" else results / "archive" / "states"
    write_states(path / "analysis.nc", truth(time, other)[None], [time], other)
    assert export(results / ("hybrid" if kind == "analysis" else "archive"), out=tmp_path / "p.nc") == 1
    error = capsys.readouterr().err
    assert "nlat=8" in error and "nlat=16" in error and "export one grid at a time" in error
    assert not (tmp_path / "p.nc").exists()


def test_a_file_of_another_time_is_refused(results, tmp_path, capsys):
    there = results / "hybrid" / name(cycle(1)) / "analysis.nc"
    there.write_bytes((results / "hybrid" / name(cycle(0)) / "analysis.nc").read_bytes())
    assert export(results / "hybrid", out=tmp_path / "p.nc") == 1
    assert f"is of {name(cycle(0))}, but its folder of {name(cycle(1))}" in capsys.readouterr().err


def test_nothing_else_is_overwritten(results, tmp_path, capsys):
    (tmp_path / "notes").write_text("By hand.\n")
    analysis = results / "hybrid" / name(START) / "analysis.nc"
    before = analysis.read_bytes()
    for out, said in (
        (tmp_path / "notes", "exists, but was not made by lora-envar"),
        (analysis, "is an input and would be overwritten"),
        (results / "archive" / "climatology.nc", "has states in it, but predictions would be written"),
        (results, "is a folder"),
    ):
        assert export(results / "hybrid", out=out) == 1
        assert said in capsys.readouterr().err
    assert export(results / "archive", out=results / "archive" / "states" / f"{name(START)[:8]}.nc") == 1
    assert "is an input" in capsys.readouterr().err
    assert analysis.read_bytes() == before
    assert export(results / "hybrid", out=tmp_path / "p.nc") == 0
    assert export(results / "archive", out=tmp_path / "p.nc") == 1
    assert "has predictions in it, but states would be written" in capsys.readouterr().err


def test_show_says_what_an_export_is(results, tmp_path, capsys):
    assert export(results / "hybrid", out=tmp_path / "p.nc") == 0
    assert main(["show", str(tmp_path / "p.nc")]) == 1
    assert "p.nc is an export for WeatherBench-X" in capsys.readouterr().err
