"""The first rung of the ladder on made data: from a Zarr store over HTTP to the report, with all networks trained."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import ROOT
from lora_envar.command import main
from lora_envar.files.state_file import Archive
from tiny import Run

CONFIGURATIONS = [str(ROOT / "config" / name) for name in ("era5_5p6.yaml", "rehearsal.yaml")]
#: three cycles of four experiments, so that the test is quick
SHORT = {
    "hybrid": None,
    "latent_lora": None,
    "vae_var": None,
    **{
        name: {"period": ["2009-05-05T00", "2009-05-05T12"]}
        for name in ("no_assimilation", "3dvar", "vae_var_grid", "lora_envar")
    },
}


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder, and says nothing."""

    def log_message(self, *_):
        return


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory):
    """A rehearsal that has ended, and what it printed."""
    folder = tmp_path_factory.mktemp("rehearsal")
    store = folder / "store"
    store.mkdir()
    assert main(["make-store", "-o", str(store / "era5.zarr")]) == 0
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(store))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        short = {
            "archive": {"path": f"http://127.0.0.1:{server.server_port}/era5.zarr"},
            "experiments": SHORT,
            "verification": {"spin_up_cycles": 0, "single_observations": []},
        }
        (folder / "short.yaml").write_text(yaml.safe_dump(short))
        run = Run(folder)
        done = run.snakemake("--cores", 2, "--configfile", *CONFIGURATIONS, "short.yaml")
        server.shutdown()
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return run


def test_the_archive_is_the_store_on_the_grid(rehearsal):
    results = rehearsal.folder / "results"
    archive = Archive(sorted((results / "archive" / "states").glob("*.nc")))
    assert (archive.grid.kind, archive.grid.shape) == ("gaussian", (32, 64))
    assert len(archive.times) == 400


def test_the_trained_model_beats_persistence(rehearsal):
    """In the rehearsal's few updates."""
    errors = pd.read_csv(rehearsal.folder / "results" / "forecast_model.csv")
    first = errors[errors.lead_hours == 6]
    assert np.log(first.model / first.persistence).mean() < np.log(0.95)
    curve = pd.read_csv(rehearsal.folder / "results" / "forecast_models" / "forecast_model.csv")
    assert curve["update"].tolist() == [50, 100, 150, 200, 250, 300]
    losses = curve.validation_loss
    assert losses.iloc[-1] == losses.min() < 0.6, "that of persistence is 1"


def test_all_is_trained_and_compared(rehearsal):
    results = rehearsal.folder / "results"
    curves = pd.read_csv(results / "learning_curves.csv")
    assert set(curves.network) == {"forecast_model", "spectral", "grid"}
    assert curves.validation_loss.notna().any()
    scores = pd.read_csv(results / "scores.csv")
    assert set(scores.experiment) == {name for name, entry in SHORT.items() if entry}
    errors = scores[(scores.kind == "analysis") & (scores.metric == "rmse") & (scores.region == "global")]
    errors = errors[(errors.variable == "z") & (errors.level == 500)].groupby("experiment").value.mean()
    assert errors["3dvar"] < errors["no_assimilation"]
    html = (results / "report.html").read_text()
    assert "Learning curves" in html
    assert not list(results.rglob("*.checkpoint.safetensors")), "they go with their training"


def test_a_model_that_is_worse_than_persistence_is_refused_before_the_first_cycle(rehearsal):
    """What has been made with another is kept, and the message says what to look at."""
    training = {"steps": 5, "learning_rate": 0.1, "warm_up": 0}
    poor = {"forecast_model": {"train": {"training": training}}}
    (rehearsal.folder / "poor.yaml").write_text(yaml.safe_dump(poor))
    done = rehearsal.snakemake(
        *("results/3dvar/20090505T00/background.nc", "--cores", 2, "--configfile"),
        *(*CONFIGURATIONS, "short.yaml", "poor.yaml"),
    )
    assert done.returncode == 1
    said = "error in rule first_guess (first=3dvar/20090505T00): forecast_model: its 6 h forecast is worse than"
    assert said in done.stderr
