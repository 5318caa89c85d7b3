"""Ensembles of a whole run: whose members they are, from when on, and what is made of them."""

import re

import numpy as np
import pandas as pd
import pytest
import torch
from lora_envar.background.cycled_ensemble import additive_errors
from lora_envar.background.training_set import TrainingSet
from lora_envar.fields.timeline import from_hours, parse
from lora_envar.files.ensemble_file import read_ensemble
from lora_envar.files.state_file import Archive, read_state
from lora_envar.files.weights import load_weights
from lora_envar.forecast import forecast, load_model


@pytest.mark.parametrize(("experiment", "name"), [("latent_lora", "adapters"), ("full_finetuning", "vae")])
def test_the_background_error_is_tuned_once_the_ensemble_is_large_enough(finished, experiment, name):
    folder = finished.folder / "results" / experiment
    about = [
        load_weights(folder / time / f"{name}.safetensors")[1]
        for time in ("20090226T00", "20090226T06", "20090226T12", "20090226T18")
    ]
    about = [entry.get("provenance", entry) for entry in about]
    assert [(entry["members"], entry["finetuned"]) for entry in about] == [(0, False), (1, False), (2, True), (2, True)]


def test_every_background_of_a_single_step_experiment_comes_from_the_reanalysis(finished):
    results = finished.folder / "results"
    archive = Archive(sorted((results / "archive" / "states").glob("*.nc"))).read(parse("20090224T06"))
    model = load_model("emulator", finished.folder / "model.safetensors", "cpu")
    expected = forecast(model, torch.from_numpy(archive)[None], 48)
    background = read_state(results / "single_step" / "20090226T06" / "background.nc")
    np.testing.assert_allclose(background, expected[0].numpy(), rtol=1e-5, atol=1e-4)
    about = load_weights(results / "single_step" / "20090226T00" / "adapters.safetensors")[1]
    assert (about["members"], about["finetuned"]) == (2, True), "the ensemble is whole from the first cycle"


def test_members_of_other_days_are_the_donors_half_a_period_later(finished):
    """And on a circle: every cycle has a whole ensemble, none its own."""
    done = finished.snakemake("--configfile", "tiny.yaml", "--forceall", "-n", "--quiet", "host")
    blocks = re.findall(r"rule finetune_lora:\n +input: (.*)\n +output: results/other_days/(\w+)/", done.stdout)
    used = {time: re.findall(r"results/latent_lora/(\w+)/members.nc", inputs) for inputs, time in blocks}
    assert used == {
        "20090226T00": ["20090226T12", "20090226T06"],
        "20090226T06": ["20090226T18", "20090226T12"],
        "20090226T12": ["20090227T00", "20090226T18"],
        "20090226T18": ["20090227T06", "20090227T00"],
        "20090227T00": ["20090226T12", "20090226T06"],
        "20090227T06": ["20090226T18", "20090226T12"],
    }


def test_ensembles_are_judged_where_they_are_whole(finished):
    results = finished.folder / "results"
    table = pd.read_csv(results / "latent_lora" / "ensemble.csv")
    assert list(table.valid_time) == ["2009-02-26T12", "2009-02-26T18", "2009-02-27T00", "2009-02-27T06"]
    assert table[["share", "share_of_other_days"]].stack().between(0, 1).all()
    # members of another day are those of the cycle half a period on: of the last two, those of the first two
    assert not np.allclose(table.share, table.share_of_other_days)
    page = (results / "results.md").read_text()
    section = page[page.index("## What the ensembles know") :]
    # with full finetuning it shares the first two, with the single-step experiment none
    shared = table[:2]
    assert f"| latent_lora | 2 | {shared.spread_over_error.mean():.3f} | {shared.share.mean():.3f} |" in section
    assert "Means over the 2 cycles that all rows have, 2009-02-26T12 to 2009-02-26T18." in section
    assert "| single_step | 2 |" in section
    assert "| hybrid_of_filter | 6 |" in section
    assert not (results / "nmc_members" / "ensemble.csv").exists(), "its members are no forecasts of its own"


def test_a_cycled_ensemble_goes_on_from_its_analyses(finished):
    """Backgrounds and analyses are the means of members; members are forecasts of those before, and model errors."""
    folder = finished.folder / "results" / "letkf"
    times = ["20090226T00", "20090226T06"]
    ensembles = {}
    for valid in times:
        for kind in ("background", "analysis"):
            members, grid = read_ensemble(folder / valid / f"{kind}_ensemble.nc", parse(valid))
            mean = read_state(folder / valid / f"{kind}.nc", grid)
            assert members.shape == (6, 69, 16, 32)
            rounding = 10 * np.finfo("f4").eps * np.abs(members).max((0, 2, 3))
            assert (np.abs(members.mean(0) - mean).max((1, 2)) <= rounding).all()
            ensembles[valid, kind] = members
        spread = [ensembles[valid, kind].std(0).mean((1, 2)) for kind in ("background", "analysis")]
        assert (spread[1] < spread[0]).all()
    model = load_model("emulator", finished.folder / "model.safetensors", "cpu")
    forecasts = forecast(model, torch.from_numpy(ensembles[times[0], "analysis"]), 6)
    errors = TrainingSet(finished.folder / "results" / "background" / "model_errors.nc")
    expected = (forecasts + additive_errors(errors, 6, 1.0, 1, times[1])).numpy()
    rounding = 10 * np.finfo("f4").eps * np.abs(expected).max((0, 2, 3))
    assert (np.abs(ensembles[times[1], "background"] - expected).max((0, 2, 3)) <= rounding).all()


def test_a_hybrid_takes_the_members_of_a_filter(finished):
    """And makes none of its own."""
    results = finished.folder / "results"
    assert not list((results / "hybrid_of_filter").rglob("members.nc"))
    analyses = [read_state(results / name / "20090226T00" / "analysis.nc") for name in ("vae_var", "hybrid_of_filter")]
    first = [read_state(results / name / "20090226T00" / "background.nc") for name in ("vae_var", "hybrid_of_filter")]
    assert np.array_equal(*first)
    assert not np.array_equal(*analyses), "the members enter in the first cycle"


def test_model_errors_are_forecasts_less_the_archive(finished):
    errors = TrainingSet(finished.folder / "results" / "background" / "model_errors.nc")
    archive = Archive(sorted((finished.folder / "results" / "archive" / "states").glob("*.nc")))
    model = load_model("emulator", finished.folder / "model.safetensors", "cpu")
    start = from_hours(errors.hours[3])
    step = forecast(model, torch.from_numpy(archive.read(start))[None], 6)[0].numpy()
    expected = step - archive.read(from_hours(errors.hours[3] + 6))
    assert len(errors) == len(set(errors.hours)) > 10
    rounding = 10 * np.finfo("f4").eps * np.abs(step).max((1, 2))
    assert (np.abs(errors.read([3])[0] - expected).max((1, 2)) <= rounding).all()
