"""Analyses whose networks run in bfloat16: what changes, and what does not."""

import pytest
import torch
from cases import GRID, cost_of, observations, quiet
from lora_envar.analysis.minimisation import MinimiserSettings, minimise
from lora_envar.background.pretraining import load_background_error, save_residual
from lora_envar.background.settings import PRECISIONS, VAESettings
from lora_envar.background.vae import VAE


@pytest.fixture
def model(small_vae, tmp_path, monkeypatch):
    """An error model by the precision of its network, on a processor that has bfloat16 or has none."""
    small_vae.save(tmp_path / "vae.safetensors")
    save_residual(tmp_path / "residual.safetensors", 0.04 * torch.eye(69, dtype=torch.float64).expand(11, 69, 69))

    def make(precision, native=True):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": native})
        settings = VAESettings(background_weight=1.0, residual_amplitude=1.0, precision=precision)
        vae = VAE.load(tmp_path / "vae.safetensors")
        return load_background_error(vae, tmp_path / "residual.safetensors", settings)

    return make


def test_the_network_alone_is_rounded(model):
    full, half = map(model, PRECISIONS)
    control = 0.3 * torch.randn(full.control_size, generator=torch.Generator().manual_seed(1))
    expected = full.increment(control)
    found = half.increment(control)
    assert found.dtype == torch.float32
    assert 1e-5 < ((found - expected).norm() / expected.norm()).item() < 0.02
    assert half.increment(torch.zeros_like(control)).abs().max() == 0.0
    rest = full.parts()["residual"]
    alone = torch.zeros_like(control)
    alone[rest] = control[rest]
    torch.testing.assert_close(half.increment(alone), full.increment(alone), rtol=0, atol=1e-6)


def test_without_bfloat16_nothing_changes(model):
    control = 0.3 * torch.randn(model("float32").control_size, generator=torch.Generator().manual_seed(1))
    plain, wanted = (model(precision, native=False).increment(control) for precision in PRECISIONS)
    assert torch.equal(plain, wanted)


def test_the_minimum_is_about_the_same(model):
    costs = [cost_of(model(precision), observations(), torch.float32) for precision in PRECISIONS]
    minima = [minimise(cost, cost.zero(), MinimiserSettings(40, 40, 0.01), quiet) for cost in costs]
    fallen = minima[0].cost_start - minima[0].cost_end
    assert fallen > 0
    reached = costs[0](minima[1].control).item()
    assert abs(reached - minima[0].cost_end) < 0.01 * fallen, "by the cost in float32"
    assert costs[0].state(minima[1].control).shape == (69, *GRID.shape)
