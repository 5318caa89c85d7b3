"""Shared pieces of the tests: small grids, small networks, and a whole world on 16 x 32 points."""

import sys
from pathlib import Path

import pytest
import torch
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "workflow"))

from lora_envar.background.vae import FORMS  # noqa: E402
from lora_envar.grid import Grid  # noqa: E402
from lora_envar.network import NetworkSettings  # noqa: E402

SHARED_DATA = ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data():
    """The folder of real data, where there is one."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"{SHARED_DATA} is not here")
    return SHARED_DATA


@pytest.fixture
def config():
    """The shipped configuration of the example."""
    return yaml.safe_load((ROOT / "config" / "config.yaml").read_text())


@pytest.fixture
def small_grid():
    return Grid("gaussian", 16, 32)


def small_network(inputs=(69,), outputs=(8,)):
    return NetworkSettings(
        (16, 32),
        inputs,
        outputs,
        widths=(16,),
        heads=(2,),
        depth=0,
        core_width=16,
        core_heads=2,
        core_depth=2,
        window=(4, 4),
    )


@pytest.fixture(params=sorted(FORMS))
def small_vae(request, small_grid):
    """A VAE of either form whose weights are random, but not small, so that it is visibly nonlinear."""
    torch.manual_seed(3)
    vae = FORMS[request.param](small_grid, 10, small_network(), sigma=0.5)
    with torch.no_grad():
        for parameter in vae.parameters():
            parameter.add_(
                0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel()))
            )
    vae.deviation.copy_(torch.linspace(0.5, 2.0, 69).view(-1, 1, 1))
    return vae.eval().requires_grad_(False)
