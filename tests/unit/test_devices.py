"""What runs on a GPU leaves nothing on the CPU: shown without one, on a device that computes no values."""

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import LETKF, ROOT, small_network
from elsewhere import DEVICE, Elsewhere
from lora_envar.analysis.assimilate import assimilate
from lora_envar.analysis.calibration import Calibration
from lora_envar.analysis.letkf import filter_ensemble
from lora_envar.analysis.posterior import sample_posterior
from lora_envar.background.error_variables import ErrorVariables
from lora_envar.background.pretraining import pretrain
from lora_envar.background.settings import LETKFSettings
from lora_envar.background.vae import FORMS
from lora_envar.forecast.emulator import EmulatorTraining, train_emulator
from lora_envar.forecast.trajectories import Statistics, Trajectories
from lora_envar.networks.training import TrainingSettings
from scale_items.items import Item, all_items
from scale_items.world import Shortened, World

SHORTENED = Shortened(members=4, epochs=1, iterations=2)


pytestmark = pytest.mark.usefixtures("plain_adam")


def draws():
    return torch.Generator().manual_seed(1)


def test_tensors_of_two_devices_may_not_meet():
    here = torch.ones(3, 3)
    there = torch.ones(3, 3, device=DEVICE)
    operations = (
        lambda: there + here,
        lambda: there @ here,
        lambda: there[torch.tensor([0, 2])],
        lambda: torch.cat([here, there]),
        lambda: torch.bmm(there[None], here[None]),
    )
    with Elsewhere():
        for operation in operations:
            with pytest.raises(RuntimeError, match=r"on two devices|same device|expected device"):
                operation()
        assert (2.0 * there + torch.tensor(1.0)).is_meta
        assert (there.cpu() + here).sum() == 18.0
        assert there.sum().item() == 1.0


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of a world at the size of the example whose files have been made on the CPU."""
    folder = tmp_path_factory.mktemp("world")
    for item in all_items(World("example", folder, "cpu", SHORTENED)):
        if item.prepare is not None:
            item.prepare(world_of(folder, "cpu"))
    return folder


def world_of(folder: Path, device: str) -> World:
    return World("example", folder, device, SHORTENED)


def names():
    """Of all that benchmarks of the example's scale time: networks, analyses, finetuning, H, forecasts."""
    world = World("example", ROOT, "cpu", SHORTENED)
    return [item.name for item in all_items(world) if item.prepare is not None]


@pytest.mark.parametrize("name", names())
def test_what_benchmarks_time_runs_on_its_device_alone(made, name):
    world = world_of(made, DEVICE)
    item: Item = next(item for item in all_items(world) if item.name == name)
    assert item.prepare is not None
    with Elsewhere():
        item.prepare(world)()


@pytest.fixture
def three_d_var(made):
    """A case on the device, and the error model of its method."""
    world = world_of(made, DEVICE)
    experiment = next(iter(world.experiments("3dvar")))
    with Elsewhere():
        model = experiment.method(experiment.analysis_settings).background_error(world.inputs(experiment))
    return world.case(experiment), model


def test_samples_about_an_analysis(three_d_var):
    case, model = three_d_var
    with Elsewhere():
        found = sample_posterior(case, model, 1.0, Calibration({}, True, draws()), [draws()])
    assert found.samples.shape == (1, *case.background.shape)


def test_the_errors_of_observations_are_calibrated(three_d_var):
    case, model = three_d_var
    with Elsewhere():
        found = assimilate(case, model, 1.0, Calibration({}, True, draws()))
    assert found.amplitudes


def test_the_filter(three_d_var):
    case, _ = three_d_var
    with Elsewhere():
        members = torch.ones(5, *case.background.shape, device=DEVICE)
        found = filter_ensemble(case, members, LETKFSettings(**LETKF), 21)
    assert found.state.shape == case.background.shape


class Nothing(Trajectories):
    """States without values."""

    shape = (16, 32)

    def __len__(self):
        return 10

    def read(self, starts, steps):
        return torch.ones(steps + 1, len(starts), 69, *self.shape, device=DEVICE)

    def statistics(self):
        return Statistics(*torch.ones(3, 69, 1, 1, device=DEVICE))


def test_a_forecast_model_is_trained(small_grid):
    updates = TrainingSettings(3, 2, 1e-3, muon_learning_rate=1e-3, clip=1.0)
    with Elsewhere():
        _, course = train_emulator(
            Nothing(),
            small_grid,
            10,
            small_network((69,), (69,)),
            EmulatorTraining(updates, 0.5, 1, rollout_fraction=0.5, look_every=2),
            device=DEVICE,
            held_out=Nothing(),
        )
    assert len(course.validation) == 2


@pytest.mark.parametrize("form", sorted(FORMS))
def test_a_vae_is_trained(form, small_grid):
    def samples(indices):
        return torch.ones(len(indices), 69, 16, 32)

    with Elsewhere():
        vae = FORMS[form](ErrorVariables(small_grid, 10, device=DEVICE), small_network(), 0.5, DEVICE)
        course = pretrain(vae, samples, list(range(8)), TrainingSettings(3, 4, 1e-3), 1, held_out=[8, 9])
    assert np.isfinite(course.losses).all()


def gpu_scripts():
    """Scripts of the rules that declare a GPU."""
    found = set()
    for path in sorted((ROOT / "workflow" / "rules").glob("*.smk")):
        for rule in path.read_text().split("\nrule ")[1:]:
            if "**A100" in rule or "gpu_model" in rule:
                found.add(rule.split("../scripts/")[1].split('"')[0])
    return sorted(found)


@pytest.mark.parametrize("name", gpu_scripts())
def test_scripts_of_rules_with_a_gpu_compute_there(name):
    text = (ROOT / "workflow" / "scripts" / name).read_text()
    assert "device()" in text or "in_processes(" in text
