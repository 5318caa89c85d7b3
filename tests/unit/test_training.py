"""Trainings: killed and taken up they end with the same bytes; looks, early stopping, and what is refused."""

import random
from dataclasses import replace

import pytest
import torch
from lora_envar.networks.checkpoint import Checkpoint
from lora_envar.networks.training import Course, Draws, TrainingSettings, Validation, train
from torch import nn

SETTINGS = TrainingSettings(40, 4, 1e-2, warm_up=5, final_fraction=0.1, clip=1.0, muon_learning_rate=2e-2)
SAMPLES = torch.randn(30, 16, generator=torch.Generator().manual_seed(1))


class Killed(Exception):
    """In place of the end of a process."""


def killed_after(loss, updates):
    """A loss that ends the process, as it were, after so many updates; None never does."""
    done = 0

    def counted(step):
        nonlocal done
        if done == updates:
            raise Killed
        done += 1
        return loss(step)

    return counted


def network():
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, 16))


def trained(path, kill_after=None, settings=SETTINGS, patience=None, lines=None, about="as always"):
    """The weights and the course of a training that has a checkpoint after every update."""
    model = network()
    draws = Draws(7, "test")

    def loss(step):
        batch = SAMPLES[draws.next(range(len(SAMPLES)), settings.batch)]
        noisy = batch + 0.1 * torch.randn(batch.shape, generator=draws.generator)
        return (model(noisy) - batch).square().mean()

    def validation_loss():
        with torch.no_grad():
            return (model(SAMPLES) - SAMPLES).square().mean().item()

    said = [] if lines is None else lines
    course = train(
        model.parameters(),
        killed_after(loss, kill_after),
        settings,
        said.append,
        report_every=10,
        validation=Validation(validation_loss, 6, patience),
        draws=draws,
        checkpoint=Checkpoint(path, {"settings": about}, [], 0.0, said.append),
    )
    return [parameter.detach() for parameter in model.parameters()], course


@pytest.mark.parametrize("muon", [2e-2, None])
def test_a_training_killed_at_random_ten_times_has_the_weights_of_one_that_was_not(tmp_path, muon):
    settings = replace(SETTINGS, muon_learning_rate=muon)
    expected, whole = trained(tmp_path / "whole.safetensors", settings=settings)
    chance = random.Random(1)
    kills = 0
    while True:
        try:
            limit = chance.randrange(1, 7) if kills < 10 else None
            found, course = trained(tmp_path / "killed.safetensors", limit, settings)
            break
        except Killed:
            kills += 1
    assert kills == 10
    assert all(torch.equal(one, other) for one, other in zip(expected, found, strict=True))
    assert course == whole


def test_a_training_goes_on_where_it_was_and_says_so(tmp_path):
    with pytest.raises(Killed):
        trained(tmp_path / "net.safetensors", 23)
    lines = []
    trained(tmp_path / "net.safetensors", lines=lines)
    assert lines[0] == f"the training continues after update 23 of 40, from {tmp_path}/.net.checkpoint.safetensors"
    assert lines[1].startswith("update 30 of 40: loss ")
    assert lines[1].endswith(" s to go")
    assert "to go" not in lines[-1]


def test_a_checkpoint_of_other_settings_or_damaged_is_not_taken_up(tmp_path):
    with pytest.raises(Killed):
        trained(tmp_path / "net.safetensors", 23)
    lines = []
    expected, _ = trained(tmp_path / "new.safetensors")
    found, _ = trained(tmp_path / "net.safetensors", lines=lines, about="otherwise")
    assert "is of a training with other settings or data" in lines[0]
    assert all(torch.equal(one, other) for one, other in zip(expected, found, strict=True))
    with pytest.raises(Killed):
        trained(tmp_path / "net.safetensors", 5, about="a third")
    path = tmp_path / ".net.checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    lines = []
    trained(tmp_path / "net.safetensors", lines=lines, about="a third")
    assert lines[0].startswith("starts from scratch: ")
    assert str(path) in lines[0]


def test_data_that_have_changed_make_another_training(tmp_path):
    data = tmp_path / "data"
    data.write_text("some")
    Checkpoint(tmp_path / "net.safetensors", {}, [data], 0.0).save({}, {"losses": []})
    assert Checkpoint(tmp_path / "net.safetensors", {}, [data], 0.0).load() == ({}, {"losses": []})
    data.write_text("others")
    said = []
    assert Checkpoint(tmp_path / "net.safetensors", {}, [data], 0.0, said.append).load() is None
    assert len(said) == 1


def test_a_checkpoint_goes_with_the_training(tmp_path):
    checkpoint = Checkpoint(tmp_path / "net.safetensors", {}, [], 0.0)
    checkpoint.save({}, {})
    checkpoint.remove()
    assert list(tmp_path.iterdir()) == []
    checkpoint.remove()
    assert checkpoint.load() is None


def test_checkpoints_wait_for_their_minutes(tmp_path):
    assert not Checkpoint(tmp_path / "net.safetensors", {}, [], 10.0).due()
    assert Checkpoint(tmp_path / "net.safetensors", {}, [], 0.0).due()


def test_early_stopping_keeps_the_weights_of_the_best_look(tmp_path):
    """Also where it was killed after the best look."""

    def run(path, kill_after=None):
        model = nn.Linear(1, 1, bias=False)
        nn.init.constant_(model.weight, 0.0)

        def loss(step):
            return (model.weight - 1.0).square().sum()

        # falls up to a weight of 0.45 and rises beyond
        validation = Validation(lambda: abs(model.weight.item() - 0.45), 1, patience=3)
        settings = TrainingSettings(100, 1, 0.1)
        course = train(
            model.parameters(), killed_after(loss, kill_after), settings, lambda _: None, validation=validation,
            checkpoint=Checkpoint(path, {}, [], 0.0, lambda _: None),
        )  # fmt: skip
        return model.weight.item(), course

    weight, course = run(tmp_path / "net.safetensors")
    best, least = course.best()
    assert course.kept == best
    assert len(course.losses) == best + 3
    assert abs(weight - 0.45) == least
    assert least < 0.06
    with pytest.raises(Killed):
        run(tmp_path / "killed.safetensors", best + 1)
    assert run(tmp_path / "killed.safetensors") == (weight, course)


def test_without_patience_the_last_weights_are_kept(tmp_path):
    _, course = trained(tmp_path / "net.safetensors")
    assert course.kept == 40
    assert [update for update, _ in course.validation] == [6, 12, 18, 24, 30, 36, 40]


def test_the_learning_curve_has_means_between_its_rows():
    course = Course([4.0, 2.0, 1.0, 1.0, 0.5], [(3, 0.9), (5, 0.8)], 5)
    table = course.table(2)
    assert table["update"].tolist() == [2, 3, 4, 5]
    assert table["loss"].tolist() == [3.0, 1.0, 1.0, 0.5]
    assert table["validation_loss"].dropna().tolist() == [0.9, 0.8]


def test_a_loss_that_is_not_finite_ends_the_training():
    weight = nn.Parameter(torch.zeros(1))
    with pytest.raises(FloatingPointError, match="update 1 is nan"):
        train([weight], lambda step: weight.sum() * float("nan"), TrainingSettings(3), lambda _: None)
