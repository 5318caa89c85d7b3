"""Single observations with the background errors of a finished run: the rule, and the command."""

import os
import subprocess
import sys

import netCDF4
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from conftest import ROOT
from lora_envar.analysis.increments import read_increments
from lora_envar.background.gaussian import load_gaussian
from lora_envar.background.genbe import GenBE
from lora_envar.background.pretraining import load_background_error
from lora_envar.background.settings import VAESettings
from lora_envar.background.vae import VAE
from lora_envar.command import main
from lora_envar.fields.grid import Grid
from lora_envar.fields.state import channel_index
from lora_envar.observations.catalogue import CODES
from lora_envar.observations.operator import ObservationOperator
from lora_envar.observations.table import read_observations
from lora_envar.verification.single import COLUMNS
from tiny import SINGLE

TIMES = ("20090226T00", "20090226T06")
TEXT = "z500@45N,30W+100"


@pytest.fixture(scope="module")
def table(finished):
    return pd.read_csv(finished.folder / "results" / "single_observations.csv")


def command(finished, *arguments):
    code = "import sys; from lora_envar.command import main; sys.exit(main())"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "workflow")}
    words = [sys.executable, "-c", code, "single", *map(str, arguments), "--config", "tiny.yaml"]
    return subprocess.run(words, cwd=finished.folder, env=environment, capture_output=True, text=True)


def increments_of(finished, name):
    return read_increments(finished.folder / "results" / name / "single_observations.nc")


def test_every_experiment_that_assimilates_has_its_increments_and_figures_show_them(finished, table):
    config = yaml.safe_load((finished.folder / "tiny.yaml").read_text())
    assert list(table.columns) == COLUMNS
    names = [name for name in config["experiments"] if name != "no_assimilation"]
    assert list(table.experiment.unique()) == names
    assert len(table) == len(names) * len(SINGLE) * len(TIMES)
    shown = (finished.folder / "results" / "figures").glob("single_observation_*.png")
    observations = ("t2m_30S_120E", "z500_45N_30W")
    expected = [f"single_observation_{name}_{time}.png" for name in observations for time in TIMES]
    assert sorted(path.name for path in shown) == expected
    # the increment goes towards the observation, and beyond it by no more than the minimiser has left
    share = table.increment / table.departure
    assert (share > 0).all() and (share < 1 + table.gradient_reduction.fillna(0.0)).all()
    own = table[table.observation == "t2m_30S_120E"]
    assert (own.departure == own.observation_error).all(), "where no departure is given"
    # of filters there is no gradient
    assert (table.gradient_reduction.isna() == (table.experiment == "letkf")).all()
    assert (table.gradient_reduction.dropna() < 0.3).all()


@pytest.mark.parametrize("same", [("3dvar", "hybrid"), ("vae_var", "latent_lora", "scaled_static", "full_finetuning")])
def test_experiments_with_one_background_error_have_one_increment(finished, same):
    """While there are too few members to tune on, whatever the backgrounds are by then."""
    first, *others = [increments_of(finished, name).fields for name in same]
    # of every field, what rounding of O - B and the minimiser leave
    scale = 1e-2 * np.abs(first).max(axis=(-1, -2), keepdims=True)
    for other in others:
        assert (np.abs(other - first) <= scale).all()
    # a static model does not know the day
    assert (np.abs(first[:, :, :1] - first[:, :, 1:]) <= scale).all()


def test_members_of_the_day_make_increments_of_the_day(table):
    of_day = table[(table.valid_time == "2009-02-26T06") & (table.experiment.isin(["letkf", "hybrid_of_filter"]))]
    assert (of_day.correlation_with_first_time < 0.999).all()
    static = table[table.experiment.isin(["3dvar", "3dvar_spectral"])]
    assert (static.correlation_with_first_time > 0.999).all()
    assert (table[table.valid_time == "2009-02-26T00"].correlation_with_first_time > 1 - 1e-6).all()


def test_the_command_makes_what_the_rule_makes_of_every_method(finished):
    """Of a later cycle too, where members are whole; errors are those of the network."""
    config = yaml.safe_load((finished.folder / "tiny.yaml").read_text())
    names = [name for name in config["experiments"] if name != "no_assimilation"]
    done = command(finished, *SINGLE, "--experiment", ",".join(names), "--time", ",".join(TIMES), "-o", "by_hand.nc")
    assert done.returncode == 0, done.stderr
    made = read_increments(finished.folder / "by_hand.nc")
    for index, name in enumerate(names):
        np.testing.assert_array_equal(made.fields[index], increments_of(finished, name).fields[0])
        assert name in done.stdout
    assert len(list(finished.folder.glob("by_hand_*.png"))) == len(SINGLE) * len(TIMES)
    tuned = ["latent_lora", "hybrid", "full_finetuning", "scaled_static", "lora_envar"]
    later = ("--time", "2009-02-26T12", "--error", 50, "-o", "later.nc")
    done = command(finished, TEXT, "--experiment", ",".join(tuned), *later)
    assert done.returncode == 0, done.stderr
    assert (finished.folder / "later.png").stat().st_size > 20_000
    assert (read_increments(finished.folder / "later.nc").error == 50).all()
    later = read_increments(finished.folder / "later.nc").fields[:, 0, 0]
    for index, name in enumerate(tuned):
        others = np.delete(later, index, axis=0)
        assert (np.abs(others - later[index]).max(axis=(1, 2, 3)) > 0).all(), name
    table = read_observations(finished.folder / "results" / "observations" / "sparse" / "20090226.nc")
    z500 = (table.variable == CODES["z"]) & (table.pressure == 500)
    assert made.error[0, 0, 0] == np.median(table.error[z500])


@pytest.mark.parametrize("name", ["3dvar", "3dvar_spectral", "vae_var"])
def test_the_increment_is_the_column_of_the_run_s_own_b(finished, name):
    """Up to the minimiser's accuracy, with the files and weights of the run; a VAE's where it is nearly linear."""
    config = yaml.safe_load((finished.folder / "tiny.yaml").read_text())
    grid = Grid.from_settings(config["error_grid"])
    background = finished.folder / "results" / "background"
    settings = VAESettings(**config["methods"]["vae_var"])
    model = {
        "3dvar": lambda: GenBE.load(background / "genbe.safetensors", grid),
        "3dvar_spectral": lambda: load_gaussian(background / "gaussian.safetensors", grid),
        "vae_var": lambda: load_background_error(
            VAE.load(background / "spectral" / "vae.safetensors"),
            background / "spectral" / "residual.safetensors",
            settings,
        ),
    }[name]()
    weight = {**config["methods"][name], **config["experiments"][name].get("settings", {})}["background_weight"]
    made = increments_of(finished, name)
    for index, observation in enumerate(made.observations):
        observe = ObservationOperator(observation.table(0), grid)
        control = torch.zeros(model.control_size, requires_grad=True)
        sensitivity = torch.autograd.grad(observe(model.increment(control))[0], control)[0]
        own = sensitivity.square().sum().item()
        with torch.no_grad():
            spread = model.increment(sensitivity).numpy()
        error = made.error[0, index, 0]
        expected = spread * made.departure[0, index, 0] / (own + weight * error**2)
        channel = channel_index(observation.channel)
        found = made.fields[0, index, 0, channel]
        distance = np.linalg.norm(found - expected[channel]) / np.linalg.norm(expected[channel])
        assert distance < (0.2 if name == "vae_var" else 0.05), observation


def test_bad_input_ends_in_one_line(finished, monkeypatch, capsys):
    monkeypatch.chdir(finished.folder)

    def said(*arguments):
        """What a command that fails says, in this process: each of its own would take seconds to start."""
        assert main(["single", *arguments, "--config", "tiny.yaml"]) == 1
        line = capsys.readouterr().err
        assert line.count("\n") == 1
        return line

    experiment = ("--experiment", "hybrid")
    time = ("--time", "2009-02-26T12")
    for arguments, expected in (
        ((TEXT, "--experiment", "no_assimilation", *time), "no_assimilation uses no observations"),
        ((TEXT, "--experiment", "hybridd", *time), "there is no hybridd"),
        ((TEXT, *experiment, "--time", "2009-02-26T07"), "not a cycle of hybrid"),
        (("z500@45N", *experiment, *time), "write it as z500@45N,30W+100"),
        ((TEXT, TEXT, *experiment, *time), "is given 2 times"),
    ):
        assert expected in said(*arguments, "-o", "out.nc")
        assert not (finished.folder / "out.nc").exists()
    genbe = "results/background/genbe.safetensors"
    assert "is an input and would be overwritten" in said(TEXT, *experiment, *time, "-o", genbe)
    missing = finished.folder / "results" / "hybrid" / "20090226T12" / "members.nc"
    kept = missing.with_name("kept")
    missing.rename(kept)
    try:
        done = command(finished, TEXT, *experiment, *time, "-o", "out.nc")
    finally:
        kept.rename(missing)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "results/hybrid/20090226T12/members.nc is missing" in done.stderr
    assert "--configfile tiny.yaml -- results/hybrid/20090226T12/members.nc" in done.stderr


def test_the_file_says_what_it_is(finished):
    with netCDF4.Dataset(finished.folder / "results" / "letkf" / "single_observations.nc") as dataset:
        assert dataset.experiment == "letkf"
        assert list(dataset["observation_text"][:]) == list(SINGLE)
