"""The network: periodic in longitude, closed at the poles, and of the paper's size."""

from copy import deepcopy

import pytest
import torch
from conftest import small_network
from lora_envar.background.error_variables import ErrorVariables
from lora_envar.background.lora import add_adapters
from lora_envar.background.settings import AdapterSettings
from lora_envar.background.vae import VAE
from lora_envar.fields.grid import Grid
from lora_envar.fields.state import GROUPS
from lora_envar.networks.swin import Block, Network, WindowAttention, count_parameters
from lora_envar.plan.configuration import check


def test_it_is_periodic_in_longitude():
    """Without positions, turning the globe by a window turns the result: no seam at 0 degrees."""
    torch.manual_seed(1)
    network = Network(small_network((5,), (4,))).double().eval()
    with torch.no_grad():
        network.position.zero_()
        network.encoders[0].position.zero_()
        x = torch.randn(1, 5, 16, 32, dtype=torch.float64)
        torch.testing.assert_close(network(x.roll(8, -1)), network(x).roll(8, -1), rtol=0, atol=1e-12)
        assert not torch.allclose(network(x.roll(8, -2)), network(x).roll(8, -2)), "latitude must not be periodic"


def test_shifted_windows_do_not_join_the_poles():
    torch.manual_seed(1)
    attention = WindowAttention(8, 2, (8, 16), (4, 4), shifted=True).double()
    x = torch.randn(1, 8, 16, 8, dtype=torch.float64, requires_grad=True)
    attention(x)[0, 0].sum().backward()
    assert x.grad[0, -2:].abs().max() == 0.0
    assert x.grad[0, :2, -2:].abs().max() > 0.0, "but east and west are joined"


@pytest.mark.parametrize("frozen", (True, False), ids=("frozen", "trained"))
def test_attention_in_bfloat16_is_that_in_float64_within_rounding(frozen):
    """On a CPU it is written out: results and gradients, those of the bias included."""
    torch.manual_seed(1)
    attention = WindowAttention(32, 2, (8, 16), (4, 4), shifted=True)
    torch.nn.init.normal_(attention.relative_bias)
    attention.requires_grad_(not frozen)
    x = torch.randn(2, 8, 16, 32)
    weight = torch.randn(2, 8, 16, 32)

    def with_gradients(dtype: torch.dtype, half: bool) -> list[torch.Tensor]:
        layer = deepcopy(attention).to(dtype)
        fields = x.to(dtype, copy=True).requires_grad_(True)
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            result = layer(fields)
        (result * weight).sum().backward()
        return [result.detach(), fields.grad, *([] if frozen else [layer.relative_bias.grad])]

    for half, exact in zip(with_gradients(torch.float32, True), with_gradients(torch.float64, False), strict=True):
        off = (half - exact).norm() / exact.norm()
        assert 0 < off < 0.02


def test_the_paper_s_sizes_are_met_without_allocating():
    """431,772,613 parameters, 60 attention blocks a half, 165,888 in the adapters at rank 2 on queries."""
    import yaml
    from conftest import ROOT
    from lora_envar.background.pretraining import size_of_vae, vae_network

    settings = yaml.safe_load((ROOT / "config" / "era5.yaml").read_text())
    check(settings)
    network = vae_network(settings["vaes"]["grid"]["network"], (128, 256))
    assert network.inputs == GROUPS
    assert abs(size_of_vae(settings["vaes"]["grid"], Grid("gaussian", 128, 256), None) / 431_772_613 - 1) < 0.001
    with torch.device("meta"):
        vae = VAE(ErrorVariables(Grid("gaussian", 128, 256), None, device="meta"), network, 2.0, device="meta")
        assert [sum(isinstance(m, Block) for m in half.modules()) for half in (vae.encoder, vae.decoder)] == [60, 60]
        adapters = add_adapters(vae, AdapterSettings("query", rank=2, alpha=2.0))
    assert sum(parameter.numel() for parameter in adapters.values()) == 165_888
    assert count_parameters(vae) == 165_888, "all else is frozen"
