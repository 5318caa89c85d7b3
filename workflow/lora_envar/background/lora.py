"""Finetuning the VAE on an ensemble: low-rank adapters (LoRA) of its linear maps, or all weights.

A layer's W becomes W + (alpha / r) B A with A (r x in) random and B (out x r) zero at the start, so that an adapter
that has not been trained adds exactly zero and the finetuned model starts at the pretrained one, bit for bit. Adapters
sit in the attention blocks, as published, or on the latents (see `prior`), where the best A and B are known in closed
form.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from ..fields.seeds import generator
from ..files.weights import load_weights, save_weights
from ..networks.swin import Block
from ..networks.training import TrainingSettings, train
from .ensemble import perturbations
from .prior import LowRankNormal
from .settings import FinetuneSettings, LoraFinetuneSettings
from .vae import VAE

#: which linear layers of a block are adapted, by the configuration's name
TARGETS = {
    "query": ("attention.query",),
    "query_key_value": ("attention.query", "attention.key", "attention.value"),
    "all_linear": (
        *(f"attention.{name}" for name in ("query", "key", "value", "output")),
        "mlp.0",
        "mlp.2",
    ),
    "latents": (),
}


@dataclass(frozen=True)
class LoraSettings:
    """Adapters: rank r, alpha, and a key of `TARGETS`."""

    rank: int = 2
    alpha: float = 2.0
    targets: str = "query"


class AdaptedLinear(nn.Module):
    """A frozen linear layer with an adapter beside it."""

    def __init__(self, linear: nn.Linear, rank: int, alpha: float, draws: torch.Generator | None):
        super().__init__()
        self.linear, self.scale = linear, alpha / rank
        weight = linear.weight
        bound = linear.in_features**-0.5
        down = torch.empty(rank, linear.in_features).uniform_(-bound, bound, generator=draws)
        self.down = nn.Parameter(down.to(weight))
        self.up = nn.Parameter(weight.new_zeros(linear.out_features, rank))

    def forward(self, x):
        return self.linear(x) + self.scale * functional.linear(functional.linear(x, self.down), self.up)


def add_adapters(vae: VAE, settings: LoraSettings, draws: torch.Generator | None = None) -> dict[str, nn.Parameter]:
    """Put adapters on the latents or into every attention block, freeze all else; gives the adapters by name."""
    vae.requires_grad_(False)
    for block in [module for module in vae.modules() if isinstance(module, Block)]:
        for target in TARGETS[settings.targets]:
            owner, _, name = target.rpartition(".")
            parent = block.get_submodule(owner)
            setattr(parent, name, AdaptedLinear(getattr(parent, name), settings.rank, settings.alpha, draws))
    if settings.targets == "latents":
        vae.prior = LowRankNormal(math.prod(vae.latent_shape), settings.rank, vae.deviation)
    return adapters(vae)


def adapters(vae: VAE) -> dict[str, nn.Parameter]:
    """The adapters' parameters by name."""
    return {name: value for name, value in vae.named_parameters() if name.endswith((".down", ".up"))}


def load_adapters(vae: VAE, tensors: dict[str, torch.Tensor]):
    """Copy adapters, as `adapters` names them, into a VAE that has them.

    Raises
    ------
    ValueError
        If names or shapes do not fit: other rank, other targets, or another VAE.
    """
    own = adapters(vae)
    if {n: t.shape for n, t in own.items()} != {n: t.shape for n, t in tensors.items()}:
        raise ValueError("the adapters do not fit this VAE and these LoRA settings (rank, targets)")
    with torch.no_grad():
        for name, tensor in tensors.items():
            own[name].copy_(tensor)


def finetune(
    vae: VAE,
    members: torch.Tensor,
    epochs: int,
    batch: int,
    learning_rate: float,
    draws: torch.Generator,
    progress=print,
) -> list[float]:
    """Fit the parameters that are not frozen to ensemble perturbations by the VAE's own loss.

    Adapters of the latents are set to its minimum; all others are trained.

    Parameters
    ----------
    members : (members, channels, lat, lon)
        Normalised perturbations.
    """
    if isinstance(vae.prior, LowRankNormal):
        with torch.no_grad():
            mean, log_variance = (torch.cat(part) for part in zip(*map(vae.encode, members.split(batch)), strict=True))
            before = vae.prior.divergence(mean, log_variance).mean().item()
            vae.prior.fit(mean, log_variance)
            after = vae.prior.divergence(mean, log_variance).mean().item()
        progress(f"divergence per latent {before / mean[0].numel():.4g} -> {after / mean[0].numel():.4g}")
        return [before, after]
    per_epoch = -(-len(members) // batch)
    order = torch.cat([torch.randperm(len(members), generator=draws) for _ in range(epochs)])
    batches = [part for epoch in order.split(len(members)) for part in epoch.split(batch)]

    def loss(step):
        picked = members[batches[step]]
        noise = torch.randn(len(picked), *vae.latent_shape, generator=draws).to(members)
        return vae.loss(picked, noise)

    settings = TrainingSettings(steps=epochs * per_epoch, batch=batch, learning_rate=learning_rate)
    trainable = [parameter for parameter in vae.parameters() if parameter.requires_grad]
    return train(trainable, loss, settings, progress, report_every=per_epoch)


def finetune_cycle(
    vae: VAE,
    members: torch.Tensor | None,
    settings: FinetuneSettings,
    rank: int | None,
    seed: int,
    time: str,
    before: str | Path | None,
    output: str | Path,
    progress: Callable[[str], None] = print,
) -> None:
    """One cycle's VAE: that of the cycle before, or the pretrained one, finetuned on a large enough ensemble.

    Parameters
    ----------
    vae : VAE
        Pretrained.
    members : (members, 69, lat, lon) or None
        Forecasts valid at this time, in the units of the state; None if there are none yet.
    rank : int or None
        Of the adapters; None finetunes all weights.
    seed, time
        From which the random numbers are drawn.
    before : path or None
        What this function wrote the cycle before.
    output : path
        For the adapters, or for the whole VAE where all weights are finetuned.
    """
    lora = None
    if isinstance(settings, LoraFinetuneSettings) and rank is not None:
        lora = LoraSettings(rank, settings.alpha, settings.targets)
        add_adapters(vae, lora, generator(seed, "adapters"))
        if before is not None:
            load_adapters(vae, load_weights(before)[0])
    else:
        if before is not None:
            vae = VAE.load(before, vae.deviation.device)
        vae.requires_grad_(True)
    count = 0 if members is None else len(members)
    finetuned = members is not None and count >= settings.minimum_members
    if members is not None and finetuned:
        normalised = perturbations(members.to(vae.deviation), vae.deviation, vae.grid, settings.normalisation)
        normalised *= settings.ensemble_amplitude
        draws = generator(seed, "finetune", time)
        vae.autocast = True
        finetune(vae, normalised, settings.epochs, settings.batch, settings.learning_rate, draws, progress)
        vae.autocast = False
    else:
        progress(f"{count} members, fewer than minimum_members ({settings.minimum_members}): no finetuning this cycle")
    about = {"members": count, "finetuned": finetuned}
    if lora is not None:
        save_weights(output, adapters(vae), {"lora": asdict(lora), **about})
    else:
        vae.save(output, **about)


def load_finetuned(vae: VAE, path) -> VAE:
    """A VAE with the adapters of a file, frozen."""
    tensors, metadata = load_weights(path)
    add_adapters(vae, LoraSettings(**metadata["lora"]))
    load_adapters(vae, tensors)
    return vae.requires_grad_(False)
