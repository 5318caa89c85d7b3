"""The command destroys nothing: inputs, and files that it has not made, are refused by name."""

import gzip
from datetime import UTC, datetime

import numpy as np
import pytest
import torch
from archive_files import plausible_states
from lora_envar import __version__
from lora_envar.background.training_set import write_samples
from lora_envar.command import main
from lora_envar.example_world.packed import write_coefficients
from lora_envar.example_world.prepbufr_writer import write_prepbufr
from lora_envar.fields.grid import Grid
from lora_envar.files.state_file import StateFile, write_forecast, write_states
from lora_envar.files.weights import save_weights
from test_reports import reports

TIME = datetime(2022, 1, 1, 6, tzinfo=UTC)
GRID = Grid("gaussian", 16, 32)
STATES = plausible_states((1, 69, *GRID.shape))


@pytest.fixture
def folder(tmp_path):
    """A file of every kind, each with the name of its kind."""
    row = ("ADPUPA", 120, 1, 500.0, "t", 250.0, {"time_offset": 2.0})
    write_prepbufr(tmp_path / "prepbufr", TIME, reports([row]))
    write_states(tmp_path / "states.nc", STATES, [TIME], GRID)
    write_forecast(tmp_path / "forecast.nc", STATES, TIME, [6], GRID)
    write_samples(tmp_path / "samples.nc", [([0], STATES)], GRID)
    save_weights(
        tmp_path / "weights.safetensors", {"a": torch.full((2, 3), 2.0)}, {"lora": {"rank": 4}, "finetuned": True}
    )
    (tmp_path / "table.csv").write_text("experiment,value\na,1\n")
    (tmp_path / "notes").write_text("By hand.\n")
    (tmp_path / "packed.gz").write_bytes(gzip.compress((tmp_path / "prepbufr").read_bytes()))
    (tmp_path / "foreign.grib").write_bytes(b"GRIB" + bytes(100))
    (tmp_path / "foreign.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    return tmp_path


def run(folder, *arguments):
    """The command's status, with names of files in the folder for words in braces."""
    return main([argument.format(f=folder) for argument in arguments])


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["state", "{f}/states.nc", "-o", "{f}/states.nc"], "states.nc is an input and would be overwritten"),
        (["state", "{f}/states.nc", "-o", "{f}/../{n}/states.nc"], "states.nc is an input"),
        (["state", "{f}/states.nc", "-o", "{f}/foreign.grib"], "foreign.grib exists, but was not made by lora-envar"),
        (["state", "{f}/states.nc", "-o", "{f}/samples.nc"], "samples.nc exists and has another kind of data"),
        (["state", "{f}/states.nc", "-o", "{f}/notes"], "it is text"),
        (["state", "{f}/states.nc", "-o", "{f}"], "is a folder"),
        (["decode", "{f}/prepbufr", "-o", "{f}/prepbufr"], "prepbufr is an input"),
        (["decode", "{f}/prepbufr", "-o", "{f}/states.nc"], "states.nc exists and has states in it, but observations"),
        (["decode", "{f}/prepbufr", "--orography", "{f}/new", "-o", "{f}/new"], "new is an input"),
        (["show", "{f}/states.nc", "-o", "{f}/states.nc"], "states.nc is an input"),
        (["show", "{f}/states.nc", "-o", "{f}/foreign.png"], "foreign.png exists, but was not made by lora-envar"),
    ],
)
def test_inputs_and_foreign_files_are_never_overwritten(folder, capsys, arguments, said):
    before = contents(folder)
    arguments = [argument.replace("{n}", folder.name) for argument in arguments]
    assert run(folder, *arguments) == 1
    assert said in capsys.readouterr().err
    assert contents(folder) == before


def test_a_figure_beside_a_file_spares_one_of_another_maker(folder, capsys):
    (folder / "states.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    assert run(folder, "show", "{f}/states.nc") == 1
    assert "states.png exists" in capsys.readouterr().err
    assert (folder / "states.png").stat().st_size == 108


@pytest.mark.parametrize("command", ["state", "decode"])
def test_an_output_that_is_forgotten_is_asked_for(folder, capsys, command):
    before = contents(folder)
    with pytest.raises(SystemExit) as stopped:
        run(folder, command, "{f}/states.nc", *(["{f}/forecast.nc"] if command == "state" else []))
    assert stopped.value.code == 2
    assert "-o/--out" in capsys.readouterr().err
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (["--thinning-km", "-5"], "'-5' is not above zero"),
        (["--half-window", "nan"], "'nan' is not above zero"),
        (["--half-window", "x"], "'x' is not a number"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(folder, capsys, option, said):
    with pytest.raises(SystemExit):
        run(folder, "decode", "{f}/prepbufr", "-o", "{f}/out.nc", *option)
    assert said in capsys.readouterr().err


def test_a_grid_that_is_none_is_refused(folder, capsys):
    assert run(folder, "state", "{f}/states.nc", "-o", "{f}/out.nc", "--grid", "gaussian", "x", "64") == 1
    assert "--grid: x and 64 must be numbers of points" in capsys.readouterr().err


def test_outputs_of_the_same_kind_are_replaced(folder):
    for _ in range(2):
        assert run(folder, "decode", "{f}/prepbufr", "-o", "{f}/table.nc") == 0
        assert run(folder, "state", "{f}/states.nc", "-o", "{f}/again.nc") == 0
        assert run(folder, "show", "{f}/states.nc") == 0
        assert run(folder, "show", "{f}/table.nc", "-o", "{f}/states.png") == 0
    assert np.array_equal(StateFile(folder / "again.nc").read(TIME), STATES[0])


def test_forecasts_and_forecast_errors_are_shown(folder, capsys):
    assert run(folder, "show", "{f}/forecast.nc", "--time", "2022-01-01T12") == 0
    assert run(folder, "show", "{f}/samples.nc") == 0
    assert capsys.readouterr().out.split() == [str(folder / "forecast.png"), str(folder / "samples.png")]


def test_weights_are_shown_in_words(folder, capsys):
    assert run(folder, "show", "{f}/weights.safetensors") == 0
    said = capsys.readouterr().out
    for line in ("lora.rank: 4", "finetuned: True", "1 tensors of 6 numbers, norm of all 4.899:"):
        assert line in said
    assert [line.split() for line in said.splitlines()][-1] == ["a", "2", "x", "3", "4.899", "2"]
    assert run(folder, "show", "{f}/weights.safetensors", "-o", "{f}/x.png") == 1
    assert "leave out -o" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("table.csv", "is CSV, which cannot be shown; open it with a spreadsheet"),
        ("notes", "is text, which cannot be shown"),
        ("foreign.grib", "is GRIB, which cannot be shown; turn it into states with lora-envar state"),
        ("prepbufr", "is BUFR, which cannot be shown; turn it into a table with lora-envar decode"),
        ("packed.gz", "is compressed by gzip, which cannot be shown; unpack it (gunzip"),
        ("foreign.png", "it is a figure already"),
        ("none", "does not exist"),
        ("", "is a folder"),
    ],
)
def test_what_is_not_shown_is_named(folder, capsys, name, said):
    assert run(folder, "show", f"{{f}}/{name}") == 1
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_packed_archives_are_told_from_netcdf_of_others(folder, capsys):
    import xarray as xr

    xr.Dataset({"rain": ("x", [1.0])}).to_netcdf(folder / "other.nc")
    assert run(folder, "show", "{f}/other.nc") == 1
    assert "has rain, which is not a file of the workflow" in capsys.readouterr().err
    times = np.datetime64("2009-01-01T00", "h") + 6 * np.arange(40)
    write_coefficients(folder / "packed.nc", times, torch.zeros(40, 69, 22 * 22) + 1.0)
    assert run(folder, "show", "{f}/packed.nc") == 0


def test_what_is_left_out_is_said(folder, capsys):
    assert run(folder, "decode", "{f}/prepbufr", "--categories", "AIRCFT", "-o", "{f}/out.nc") == 1
    assert "prepbufr has no data of AIRCFT" in capsys.readouterr().err
    assert run(folder, "decode", "{f}/prepbufr", "--half-window", "1", "-o", "{f}/out.nc") == 1
    assert "all of its 1 data are outside the window of 1 h" in capsys.readouterr().err
    assert not (folder / "out.nc").exists()
    rows = [("ADPUPA", 120, 1, 500.0, "t", 250.0, {"time_offset": offset}) for offset in (0.0, 3.0)]
    write_prepbufr(folder / "prepbufr", TIME, reports(rows))
    assert run(folder, "decode", "{f}/prepbufr", "-o", "{f}/out.nc") == 0
    assert "1 of 2 data are outside the window and are left out" in capsys.readouterr().out


def test_the_version_is_told(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"lora-envar {__version__}\n"
