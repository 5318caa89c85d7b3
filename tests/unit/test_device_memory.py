"""What a GPU must hold at the size of the paper, counted on a device without values: it fits the GPUs named."""

import dataclasses

import pytest
import torch
from elsewhere import DEVICE, DeviceMemory, Elsewhere
from lora_envar.analysis.assimilate import assimilate
from lora_envar.background.finetuning import Draws, finetune
from lora_envar.background.lora import add_adapters
from lora_envar.background.pretraining import new_vae, pretrain
from lora_envar.background.spectral import SpectralField
from lora_envar.background.vae import VAEBackgroundError
from lora_envar.fields.grid import Grid
from lora_envar.fields.harmonics import SphericalHarmonics
from lora_envar.forecast.emulator import Emulator
from lora_envar.networks.swin import NetworkSettings, without_weights
from lora_envar.networks.training import TrainingSettings
from lora_envar.observations.window import Window
from lora_envar.settings import settings_from
from scale_items.world import SAMPLES, Shortened, World

GB = 1e9
#: of an A100 with 40 GB and with 80 GB, less what CUDA and its kernels take
SMALL = 38 * GB
LARGE = 76 * GB


def quiet(_):
    return


pytestmark = pytest.mark.usefixtures("plain_adam")


@pytest.fixture(scope="module")
def paper(tmp_path_factory):
    """The paper's sizes; three iterations show what a minimisation keeps."""
    return World("paper", tmp_path_factory.mktemp("paper"), DEVICE, Shortened(iterations=3))


def new_model(paper):
    """The VAE of 431.8 million weights, and normalised errors, on the device."""
    errors = paper.errors()
    with without_weights():
        vae = new_vae(
            paper.config["vaes"]["grid"],
            paper.error_grid,
            paper.error_truncation,
            lambda indices: errors[indices],
            list(range(SAMPLES)),
            DEVICE,
        )
    assert 4.31e8 < sum(parameter.numel() for parameter in vae.parameters()) < 4.33e8
    return vae


def adapted_model(paper, experiment):
    """The VAE, frozen, with the adapters of an experiment."""
    vae = new_model(paper).eval().requires_grad_(False)
    settings = settings_from(experiment.method.FinetuneSettings, experiment.finetune_settings)
    added = experiment.method.adapters(settings, experiment.entry["rank"])
    add_adapters(vae, added, torch.Generator().manual_seed(1))
    return vae, settings


def test_finetuning_fits_the_smaller_gpu(paper):
    (experiment,) = paper.experiments("lora_envar")
    with Elsewhere(), DeviceMemory() as memory:
        vae, settings = adapted_model(paper, experiment)
        weights = memory.held
        members = torch.empty(8, 69, *paper.error_grid.shape, device=DEVICE)
        finetune(vae, members, dataclasses.replace(settings, epochs=1), Draws(1, "memory"), quiet)
    print(f"{weights / GB:.1f} {memory.most / GB:.1f} GB")
    assert 1.7 * GB < weights < 1.8 * GB
    assert memory.most < SMALL


def test_pretraining_fits_the_smaller_gpu(paper):
    """Batches as configured, with the state of Adam."""
    entry = paper.config["vaes"]["grid"]
    batch = entry["training"]["batch"]
    errors = torch.empty(batch, 69, *paper.error_grid.shape)
    with Elsewhere(), DeviceMemory() as memory:
        vae = new_model(paper)
        pretrain(vae, lambda indices: errors[indices], list(range(batch)), TrainingSettings(2, batch), 1, quiet)
    print(f"{memory.most / GB:.1f} GB")
    assert memory.most < SMALL


def error_model(paper, vae):
    """Without a residual, as published."""
    harmonics = SphericalHarmonics(paper.error_grid, 1, device=DEVICE)
    return VAEBackgroundError(vae, SpectralField(torch.zeros(2, 69, 69, device=DEVICE), harmonics), 0.0)


def test_an_analysis_fits_the_smaller_gpu(paper):
    (experiment,) = paper.experiments("lora_envar")
    case = paper.case(experiment)
    with Elsewhere(), DeviceMemory() as memory:
        vae, _ = adapted_model(paper, experiment)
        assimilate(case, error_model(paper, vae.requires_grad_(False)), 4.0)
    print(f"{memory.most / GB:.1f} GB")
    assert memory.most < SMALL


def test_a_window_of_six_slots_fits_the_larger_gpu(paper):
    """Through a network like the training model's at 0.25 degrees, its steps computed again for the gradient.

    Its windows do not divide 721 latitudes, but 720.
    """
    (experiment,) = paper.experiments("lora_envar")
    finest = World("paper", paper.folder, DEVICE, paper.shortened)
    finest.grid = Grid("gaussian", 720, 1440)
    case = finest.case(experiment)
    sizes = paper.config["training"]["forecast_model"]["train"]["network"]
    network = settings_from(NetworkSettings, {"shape": finest.grid.shape, "inputs": (69,), "outputs": (69,), **sizes})
    with Elsewhere(), DeviceMemory() as memory:
        vae, _ = adapted_model(paper, experiment)
        with without_weights():
            model = Emulator(finest.grid, None, network, 1, DEVICE).requires_grad_(False)
        start = int(case.observations.time[0])
        window = Window(start, 6, 1, model, torch.zeros(6, 69, device=DEVICE))
        over = dataclasses.replace(case, window=window)
        assimilate(over, error_model(paper, vae.requires_grad_(False)), 4.0)
    print(f"{memory.most / GB:.1f} GB")
    assert memory.most < LARGE
