"""The command: a file in, a file or one clear line out."""

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime

import numpy as np
import pytest
from conftest import ROOT
from lora_envar.command import main
from lora_envar.example_world.prepbufr_writer import write_prepbufr
from lora_envar.files.state_file import write_states
from lora_envar.observations.table import read_observations
from test_reports import reports

TIME = datetime(2022, 1, 1, 6, tzinfo=UTC)
PNG = b"\x89PNG"


@pytest.fixture
def prepbufr(tmp_path):
    rows = [("ADPUPA", 120, 1, 500.0, "t", 250.0, {}), ("ADPUPA", 120, 1, 500.0, "z", 55000.0, {})]
    rows.append(("AIRCFT", 131, 6, 400.0, "t", 500.0, {"station": b"KLM"}))
    write_prepbufr(tmp_path / "x.prepbufr", TIME, reports(rows))
    return tmp_path / "x.prepbufr"


def test_decode_says_what_is_rejected_and_why(prepbufr, tmp_path, capsys):
    out = tmp_path / "table.nc"
    assert main(["decode", str(prepbufr), "-o", str(out)]) == 0
    table = read_observations(out)
    assert (len(table), (table.rejection == 0).sum()) == (3, 2)
    said = capsys.readouterr().out
    assert "gross_limits" in said and "3 data, of which 2 can be used" in said
    assert main(["decode", str(prepbufr), "--out", str(out), "--categories", "ADPUPA"]) == 0
    assert len(read_observations(out)) == 2
    assert main(["show", str(out)]) == 0
    assert out.with_suffix(".png").read_bytes()[:4] == PNG


def test_a_package_without_the_files_beside_it_says_how_to_install_it(tmp_path):
    """As with `pip install .`, which takes the package alone."""
    shutil.copytree(ROOT / "workflow" / "lora_envar", tmp_path / "lora_envar")
    command = [sys.executable, "-c", "import sys; from lora_envar.command import main; sys.exit(main(['schema']))"]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True)
    assert done.returncode == 1
    assert "config.schema.yaml" in done.stderr
    assert done.stderr.endswith("install it from a clone, by pip install -e .\n")
    assert done.stderr.count("\n") == 1


def test_states_are_shown(small_grid, tmp_path, capsys):
    write_states(
        tmp_path / "x.nc", np.random.default_rng(1).normal(size=(1, 69, *small_grid.shape)), [TIME], small_grid
    )
    assert main(["show", str(tmp_path / "x.nc"), "--channel", "t850", "-o", str(tmp_path / "y.png")]) == 0
    assert (tmp_path / "y.png").read_bytes()[:4] == PNG
    archive = ROOT / "resources" / "example" / "archive_hourly.nc"
    assert main(["show", str(archive), "--time", "2009-04-24T05", "--out", str(tmp_path / "z.png")]) == 0
    assert (tmp_path / "z.png").read_bytes()[:4] == PNG


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "{folder}/none.nc"], "none.nc does not exist"),
        (["show", "{folder}/x.nc", "--channel", "t851"], "the state has no channel 't851'"),
        (["show", "{folder}/x.nc", "--time", "2023-01-01"], "has no state valid at 2023-01-01"),
        (["decode", "{folder}/x.nc", "-o", "{folder}/out.nc"], "x.nc"),
        (["decode", "{folder}/none", "-o", "{folder}/out.nc"], "none"),
        (["state", "{folder}/none.grib", "-o", "{folder}/out.nc"], "none.grib"),
    ],
)
def test_bad_input_ends_one_line(small_grid, tmp_path, capsys, arguments, message):
    write_states(tmp_path / "x.nc", np.zeros((1, 69, *small_grid.shape)), [TIME], small_grid)
    assert main([argument.format(folder=tmp_path) for argument in arguments]) == 1
    said = capsys.readouterr()
    assert message in said.err and said.err.count("\n") == 1
    assert not (tmp_path / "out.nc").exists()
