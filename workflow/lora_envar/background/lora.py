"""Low-rank adapters (LoRA) of the VAE's linear maps.

A layer's W becomes W + (alpha / r) B A with A (r x in) random and B (out x r) zero at the start, so that an adapter
that has not been trained adds exactly zero and the finetuned model starts at the pretrained one, bit for bit. Adapters
sit in the attention blocks, as published, or on the latents (see `prior`), where the best A and B are known in closed
form; the one number by which all latents may be scaled is kept as an adapter too.
"""

import math

import torch
from torch import nn
from torch.nn import functional

from ..networks.swin import Block
from .prior import LowRankNormal, ScaledNormal
from .settings import AdapterSettings
from .vae import VAE

#: which linear layers of a block are adapted
TARGETS = {
    "query": ("attention.query",),
    "query_key_value": ("attention.query", "attention.key", "attention.value"),
    "all_linear": (
        *(f"attention.{name}" for name in ("query", "key", "value", "output")),
        "mlp.0",
        "mlp.2",
    ),
    "latents": (),
    "scale": (),
}


class AdaptedLinear(nn.Module):
    """A frozen linear layer with an adapter."""

    def __init__(self, linear: nn.Linear, rank: int, alpha: float, draws: torch.Generator | None) -> None:
        super().__init__()
        self.linear = linear
        self.scale = alpha / rank
        weight = linear.weight
        bound = linear.in_features**-0.5
        down = torch.empty(rank, linear.in_features).uniform_(-bound, bound, generator=draws)
        self.down = nn.Parameter(down.to(weight))
        self.up = nn.Parameter(weight.new_zeros(linear.out_features, rank))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (..., in) to (..., out)."""
        return self.linear(x) + self.scale * functional.linear(functional.linear(x, self.down), self.up)


def add_adapters(vae: VAE, settings: AdapterSettings, draws: torch.Generator | None = None) -> dict[str, nn.Parameter]:
    """Add adapters to the latents or to every attention block and freeze everything else; return the adapters by name.

    Parameters
    ----------
    draws : torch.Generator
        Draws the adapters' A, unless these are loaded.
    """
    vae.requires_grad_(False)
    for block in [module for module in vae.modules() if isinstance(module, Block)]:
        for target in TARGETS[settings.targets]:
            owner, _, name = target.rpartition(".")
            parent = block.get_submodule(owner)
            setattr(parent, name, AdaptedLinear(getattr(parent, name), settings.rank, settings.alpha, draws))
    if settings.targets == "latents":
        vae.prior = LowRankNormal(math.prod(vae.latent_shape), settings.rank, vae.deviation)
    elif settings.targets == "scale":
        vae.prior = ScaledNormal(vae.deviation)
    return adapters(vae)


def adapters(vae: VAE) -> dict[str, nn.Parameter]:
    """The adapters' parameters by name."""
    return {name: value for name, value in vae.named_parameters() if name.endswith((".down", ".up", ".scale"))}


def load_adapters(vae: VAE, tensors: dict[str, torch.Tensor]) -> None:
    """Copy adapters, as `adapters` names them, into a VAE that has them.

    Raises
    ------
    ValueError
        If names or shapes do not fit, because the rank, the targets or the VAE are different.
    """
    own = adapters(vae)
    if {n: t.shape for n, t in own.items()} != {n: t.shape for n, t in tensors.items()}:
        raise ValueError("the adapters do not fit this VAE and these settings of LoRA (rank, targets)")
    with torch.no_grad():
        for name, tensor in tensors.items():
            own[name].copy_(tensor)
