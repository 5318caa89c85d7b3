"""What a user must bring is named before anything else, and a graph of months stays small."""

import re
import subprocess
import sys

import pytest
from conftest import CHECKED, ROOT
from tiny import Run, two_methods

MEMORY_GB = 1.0
#: runs a command, and says in a file how many kB the largest of its processes had. A process counts the memory of the
#: one that started it as its own until it runs its program, so the command is started by a small one
MEASURED = """
import pathlib, resource, subprocess, sys
status = subprocess.run(sys.argv[2:]).returncode
pathlib.Path(sys.argv[1]).write_text(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(status)
"""


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path)


def dry_run(run, *arguments):
    """Exit status, output, and the largest memory of a dry run in GB."""
    options = run.process([*arguments, "-n", "--quiet", "rules"])
    command = [sys.executable, "-S", "-c", MEASURED, "memory", *options.pop("args")]
    done = subprocess.run(command, **options, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout, int((run.folder / "memory").read_text()) / 1e6


def test_a_dry_run_of_era5_names_the_model_s_files_first_and_shows_the_graph(run):
    month = [ROOT / "config" / name for name in ("era5.yaml", "gdas.yaml")]
    status, output, memory = dry_run(run, "--configfile", *month)
    files = {"weights": "fengwu_v2.onnx", "mean": "data_mean.npy", "deviation": "data_std.npy"}
    lines = output.splitlines()
    assert lines[:3] == [
        f"forecast_model.{key}: resources/era5/{file} is missing; provide the file, or name another"
        for key, file in files.items()
    ]
    assert "-n, shows the graph" in lines[3]
    assert status == 0, output[-2000:]
    assert re.search(r"^assimilate +868$", output, re.MULTILINE), "a month of seven experiments"
    assert memory < MEMORY_GB


def test_nothing_that_needs_a_missing_file_is_started(run):
    config = ROOT / "config" / "config.yaml"
    text = config.read_text().replace("resources/example/emulator.safetensors", "brought/model.safetensors")
    (run.folder / "mine.yaml").write_text(text)
    done = run.snakemake("--cores", 1, "--configfile", "mine.yaml")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: forecast_model.weights: brought/model.safetensors is missing, and ")
    assert "Traceback" not in done.stderr
    assert not (run.folder / "results").exists()


def test_what_does_not_need_the_missing_file_is_made(run):
    config = two_methods(run.folder)
    config["forecast_model"]["weights"] = "brought/model.safetensors"
    run.make(config, "results/archive/climatology.nc")
    assert (run.folder / "results" / "archive" / "climatology.nc").exists()


@pytest.mark.parametrize("time", ["20090425T18", "20090426T03", "20090503T00"])
def test_what_is_no_cycle_is_refused_and_sought_no_further(run, time):
    """From a time that is none of the cycles, the chain of backgrounds would lead back for ever."""
    config = ROOT / "config" / "config.yaml"
    status, output, memory = dry_run(run, f"results/vae_var/{time}/analysis.nc", "--configfile", config)
    assert status == 1
    assert (
        f"results/vae_var/{time}: not a cycle of vae_var, whose cycles are 20090426T00 to 20090501T18, every 6 h"
        in output
    )
    assert memory < MEMORY_GB


def test_a_cycle_of_reports_that_is_missing_is_named(run):
    config = two_methods(run.folder)
    network = {
        **CHECKED,
        "source": "prepbufr",
        "path": "reports/%Y%m%d%H.prepbufr",
        "categories": ["ADPUPA"],
        "half_window_hours": 0.5,
        "reported_errors": True,
        "error_table": "resources/observation_errors.csv",
        "orography": None,
        "quality": CHECKED["quality"] | {"withheld": 0.0},
    }
    config["observations"]["sparse"] = network
    (run.folder / "reports").mkdir()
    for hour in ("00", "06", "18"):
        (run.folder / "reports" / f"20090226{hour}.prepbufr").touch()
    run.write(config)
    status, output, _ = dry_run(run, "--configfile", "tiny.yaml")
    assert status == 0, output[-2000:]
    assert output.splitlines()[0] == (
        "observations.sparse.path: reports/2009022612.prepbufr is missing; provide the file, or name another"
    )
    done = run.snakemake("--cores", 1, "--configfile", "tiny.yaml")
    assert done.returncode == 1
    assert "reports/2009022612.prepbufr is missing, and decode_prepbufr needs it" in done.stderr.splitlines()[-1]
