"""The rehearsal of the paper, at a small size: states, errors and training data are on different grids."""

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import ROOT
from lora_envar.background.vae import VAE
from lora_envar.command import main
from lora_envar.files.state_file import StateFile
from tiny import Run

CONFIGURATIONS = [str(ROOT / "config" / name) for name in ("era5.yaml", "paper_rehearsal.yaml")]
STATES = {"kind": "equiangular", "latitudes": 45, "longitudes": 64, "truncation": None}
ERRORS = {"kind": "gaussian", "latitudes": 16, "longitudes": 32, "truncation": None}
CYCLES = ["2009-05-05T00", "2009-05-05T06", "2009-05-05T12"]
KEPT = ("no_assimilation", "3dvar", "hybrid", "lora_envar")
SMALL = {
    "grid": STATES,
    "error_grid": ERRORS,
    "training": {"grid": ERRORS, "forecast_model": {"grid": ERRORS}},
    "forecast_model": {"grid": STATES},
    "vaes": {"grid": {"network": {"widths": [12, 24], "core_width": 24, "core_depth": 1}}},
    "observations": {"published_columns": {"columns": 50}},
    "experiments": {"vae_var": None, **{name: {"period": [CYCLES[0], CYCLES[-1]]} for name in KEPT}},
    "verification": {"spin_up_cycles": 1},
}


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory):
    """A small rehearsal that has ended."""
    folder = tmp_path_factory.mktemp("paper")
    first = ["--points", "64", "45", "--start", "2009-05-03T00", "--end", "2009-05-06T00"]
    assert main(["make-store", "-o", str(folder / "fine.zarr"), *first]) == 0
    assert main(["make-store", "-o", str(folder / "coarse.zarr"), "--end", "2009-03-02T06"]) == 0
    run = Run(folder)
    (folder / "small.yaml").write_text(yaml.safe_dump(SMALL))
    done = run.snakemake("--cores", 2, "--configfile", *CONFIGURATIONS, "small.yaml")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return run


def test_every_method_is_cycled_and_scored_on_the_grid_of_states(rehearsal):
    results = rehearsal.folder / "results"
    analysis = StateFile(results / "3dvar" / "20090505T06" / "analysis.nc").grid
    assert (analysis.kind, analysis.shape) == ("equiangular", (45, 64))
    scores = pd.read_csv(results / "scores.csv")
    assert set(scores.experiment) == set(KEPT)
    errors = scores[(scores.kind == "analysis") & (scores.metric == "rmse") & (scores.region == "global")]
    errors = errors[(errors.variable == "z") & (errors.level == 500)].groupby("experiment").value.mean()
    assert errors["3dvar"] < errors["no_assimilation"]


def test_anomalies_are_from_the_climatology_of_the_training_archive(rehearsal):
    """It is on another grid than the states; an anomaly correlation of a state with itself would be 1."""
    results = rehearsal.folder / "results"
    assert StateFile(results / "archive" / "climatology.nc").grid.shape == (16, 32)
    scores = pd.read_csv(results / "scores.csv")
    found = scores[(scores.kind == "analysis") & (scores.metric == "anomaly_correlation")].value
    assert np.isfinite(found).all() and found.between(-1, 1).all()


def test_adapters_are_those_of_the_published_form(rehearsal):
    vae = VAE.load(rehearsal.folder / "results" / "background" / "grid" / "vae.safetensors")
    assert vae.grid.shape == (16, 32)
    assert (rehearsal.folder / "results" / "lora_envar" / "20090505T12" / "adapters.safetensors").is_file()
    gates = pd.read_csv(rehearsal.folder / "results" / "model_gates.csv")
    assert gates[gates.gate == "long forecast"].shape[0] == 10
