"""Forecast models trained on an archive: what they learn from, resuming, what is refused, and the plan."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import torch
from conftest import small_network
from lora_envar.fields.grid import Grid
from lora_envar.fields.seeds import generator
from lora_envar.fields.state import channel_index
from lora_envar.files.state_file import Archive, write_states
from lora_envar.forecast.emulator import Emulator, EmulatorTraining, train_emulator
from lora_envar.forecast.skill import refuse_worse_than_persistence
from lora_envar.forecast.trajectories import ArchiveTrajectories
from lora_envar.networks.checkpoint import Checkpoint
from lora_envar.networks.training import TrainingSettings
from lora_envar.plan.completion import ConfigurationError
from lora_envar.plan.prepare import prepare

GRID = Grid("gaussian", 16, 32)
START = datetime(2009, 3, 1, tzinfo=UTC)
STEP = timedelta(hours=6)


def drifting(count):
    """Waves that move eastward by a point a step, each channel with its own amplitude: (time, 69, lat, lon)."""
    waves = torch.randn(1, *GRID.shape, generator=generator(1, "waves")).numpy()
    scale = np.linspace(0.5, 2.0, 69, dtype=np.float32)[:, None, None]
    return np.stack([scale * np.roll(waves, step, axis=-1) for step in range(count)])


@pytest.fixture
def archive(tmp_path):
    """Forty states in two files, without the 21st."""
    states = drifting(40)
    times = [START + index * STEP for index in range(40)]
    write_states(tmp_path / "a.nc", states[:20], times[:20], GRID)
    write_states(tmp_path / "b.nc", states[21:], times[21:], GRID)
    return Archive([tmp_path / "a.nc", tmp_path / "b.nc"])


def trajectories(archive, first=0, last=39):
    return ArchiveTrajectories(archive, START + first * STEP, START + last * STEP, 6)


def test_trajectories_leave_out_what_is_not_whole(archive):
    """Of 20 and 19 states the last two have none two steps later."""
    whole = trajectories(archive)
    assert len(whole) == 18 + 17
    states = drifting(40)
    found = whole.read([0, 17, 18], 2)
    assert found.shape == (3, 3, 69, *GRID.shape)
    for column, first in enumerate((0, 17, 21)):
        np.testing.assert_array_equal(found[:, column], states[first : first + 3])
    assert len(trajectories(archive, 3, 9)) == 5


def test_statistics_are_those_of_the_states(archive):
    found = trajectories(archive).statistics()
    weights = GRID.area_weights[:, None]
    starts = [*range(18), *range(21, 38)]
    states = drifting(40).astype(np.float64)
    mean = (states[starts] * weights).mean((0, 2, 3))
    np.testing.assert_allclose(found.mean.ravel(), mean, atol=1e-6)
    square = (((states[starts] - mean[:, None, None]) ** 2) * weights).mean((0, 2, 3))
    np.testing.assert_allclose(found.deviation.ravel(), square**0.5, rtol=1e-6)
    change = ((states[1:] - states[:-1])[starts] ** 2 * weights).mean((0, 2, 3))
    np.testing.assert_allclose(found.change_deviation.ravel(), change**0.5, rtol=1e-6)


def test_a_constant_channel_cannot_be_learned(tmp_path):
    states = drifting(5)
    states[:, 4] = 3.0
    write_states(tmp_path / "a.nc", states, [START + index * STEP for index in range(5)], GRID)
    with pytest.raises(ValueError, match="z50: states do not vary"):
        trajectories(Archive([tmp_path / "a.nc"]), 0, 4).statistics()


def test_too_few_states_are_refused_by_their_period(archive):
    with pytest.raises(ValueError, match="no 3 states that are 6 h apart between 2009-03-05T18 and 2009-03-06T06"):
        trajectories(archive, 19, 21)


class Killed(Exception):
    """In place of the end of a process."""


def trained(archive, path, stop_after=None):
    """An emulator of forty updates, with a checkpoint after each."""
    settings = EmulatorTraining(
        TrainingSettings(40, 4, 3e-3, muon_learning_rate=5e-3, clip=1.0), 0.5, 1, look_every=10, rollout_fraction=0.2
    )
    checkpoint = Checkpoint(path, {}, [], 0.0, lambda _: None)
    if stop_after is not None:
        save = checkpoint.save

        def save_and_stop(tensors, numbers):
            save(tensors, numbers)
            if len(numbers["losses"]) >= stop_after:
                raise Killed

        checkpoint.save = save_and_stop
    model, course = train_emulator(
        trajectories(archive, 0, 30),
        GRID,
        10,
        small_network((69,), (69,)),
        settings,
        lambda _: None,
        held_out=trajectories(archive, 31, 39),
        checkpoint=checkpoint,
    )
    model.save(path, updates=course.kept)
    checkpoint.remove()
    return course


def test_an_emulator_learns_and_one_that_was_killed_ends_with_the_same_file(archive, tmp_path):
    course = trained(archive, tmp_path / "whole.safetensors")
    assert max(loss for _, loss in course.validation) < 0.6, "that of persistence is 1"
    for updates in (3, 17, 36):  # the last within the rollout
        with pytest.raises(Killed):
            trained(archive, tmp_path / "killed.safetensors", updates)
    assert trained(archive, tmp_path / "killed.safetensors") == course
    assert (tmp_path / "killed.safetensors").read_bytes() == (tmp_path / "whole.safetensors").read_bytes()
    assert sorted(path.name for path in tmp_path.glob(".*")) == []
    assert Emulator.load(tmp_path / "whole.safetensors").step_hours == 6


TRAIN = {
    "start": "2009-02-10T06",
    "end": "2009-04-01T00",
    "validation": {"start": "2009-04-02T00", "end": "2009-04-08T00"},
    "step_hours": 6,
    "network": {
        "widths": [16],
        "heads": [2],
        "depth": 0,
        "core_width": 16,
        "core_heads": 2,
        "core_depth": 1,
        "window": [4, 8],
    },
    "training": {"steps": 10, "batch": 2, "learning_rate": 1e-3},
    "noise": 0.5,
    "seed": 1,
}


@pytest.fixture
def with_training(config, tmp_path, monkeypatch):
    """The example's configuration, its forecast model trained on its own archive."""
    monkeypatch.chdir(tmp_path)
    config["forecast_model"] = {"name": "emulator", "train": {**TRAIN}}
    return config


def test_a_trained_model_is_made_by_a_rule_and_not_brought(with_training):
    plan = prepare(with_training)
    weights = "results/forecast_models/forecast_model.safetensors"
    assert with_training["forecast_model"]["weights"] == weights
    assert (plan.model_files.made, plan.model_files.brought) == ([weights], [])
    assert plan.training_set.model_files == plan.model_files
    assert "forecast_model.weights" not in dict(plan.brought())
    assert plan.trained_models.names == ["forecast_model"]
    assert plan.trained_models.files("forecast_model") == [
        "results/archive/states/20090210.nc",
        "results/archive/states/20090401.nc",
    ]
    assert plan.learning_curves() == {"forecast_model": "results/forecast_models/forecast_model.csv"}


def test_models_of_the_training_archive_and_of_windows_are_trained_on_their_own(with_training):
    archive = {**with_training["archive"], "block_days": 20}
    with_training["training"] = {
        "grid": with_training["grid"],
        "archive": archive,
        "forecast_model": {"name": "emulator", "train": TRAIN},
    }
    del archive["path"]
    archive["path"] = with_training["archive"]["path"]
    plan = prepare(with_training)
    assert plan.trained_models.names == ["forecast_model", "training_model"]
    assert plan.training_set.model_files.made == ["results/forecast_models/training_model.safetensors"]
    assert plan.trained_models.files("training_model") == [
        f"results/archive/states/training_{day}.nc" for day in ("20090210", "20090302", "20090322")
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"end": "2009-06-01T00"}, r"forecast_model\.train\.end: 2009-06-01T00 is outside the archive"),
        ({"step_hours": 3}, r"forecast_model\.train\.step_hours: 3 h is not a multiple of the 6 h"),
        (
            {"validation": {"start": "2009-03-20T00", "end": "2009-04-08T00"}},
            r"train\.validation: 2009-03-20T00 to 2009-04-08T00 overlaps with the training period",
        ),
        (
            {"start": "2009-04-01T06"},
            r"forecast_model\.train\.end: 2009-04-01T00 is not after forecast_model\.train\.start",
        ),
        ({"noise": -1}, r"forecast_model\.train\.noise: -1"),
        ({"epochs": 3}, r"forecast_model\.train\.epochs: there is no such key"),
    ],
)
def test_what_cannot_be_trained_is_refused_by_its_key(with_training, change, message):
    with_training["forecast_model"]["train"] |= change
    with pytest.raises(ConfigurationError, match=message):
        prepare(with_training)


@pytest.mark.parametrize("section", [{}, {"train": TRAIN, "weights": "a.safetensors"}])
def test_a_model_has_either_weights_or_a_training(with_training, section):
    with_training["forecast_model"] = {"name": "emulator", **section}
    with pytest.raises(ConfigurationError, match="is not a model with either `weights`, its file, or `train`"):
        prepare(with_training)


def test_leads_are_checked_by_the_step_that_is_trained(with_training):
    with_training["forecast_model"]["train"]["step_hours"] = 12
    with pytest.raises(ConfigurationError, match=r"cycling\.step_hours: 6 h is not a multiple of the step"):
        prepare(with_training)


def skill(**ratios):
    """A forecast whose error is 0.8 of persistence's, but for some headline variables."""
    change = torch.randn(69, *GRID.shape, generator=generator(2, "change")).numpy()
    initial = drifting(1)[0]
    factors = np.full((69, 1, 1), 0.8, dtype=np.float32)
    for name, ratio in ratios.items():
        factors[channel_index(name)] = ratio
    truth = initial + change
    refuse_worse_than_persistence(truth - factors * change, initial, truth, GRID, 6)


def test_a_model_worse_than_persistence_is_refused_and_the_worst_is_named():
    skill()
    skill(z500=1.5)  # 0.8 to the nine tenths times 1.5 to the tenth: 0.85
    with pytest.raises(ValueError, match=r"its 6 h forecast is worse than persistence.*\(z500 .* instead of .*, t"):
        skill(z500=500.0)
    with pytest.raises(ValueError, match="worse than persistence"):
        skill(q700=float("nan"))
    skill(u1000=500.0)  # no headline variable
