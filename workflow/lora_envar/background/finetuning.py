"""Finetuning of the VAE on the ensemble of a cycle: of adapters, or of all weights."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ..fields.seeds import generator
from ..files.weights import load_weights, save_weights
from ..networks.checkpoint import Checkpoint
from ..networks.training import Course, Draws, TrainingSettings, train
from .ensemble import perturbations
from .lora import adapters, add_adapters, load_adapters
from .prior import LowRankNormal, StandardNormal
from .sampling import control_of
from .settings import AdapterSettings, FinetuneSettings, TrainedFinetuneSettings
from .vae import VAE

#: members encoded at once
ENCODED_AT_ONCE = 4
#: random latents by which a finetuned VAE is compared with the pretrained one
COMPARED_LATENTS = 4


def fit_prior(vae: VAE, members: torch.Tensor, progress: Callable[[str], None] = print) -> tuple[float, float]:
    """Set the adapter of a VAE's latents to the minimum of the VAE's loss over members, in closed form.

    Parameters
    ----------
    vae : VAE
        Changed in place.
    members : (members, channels, lat, lon)
        Normalised perturbations.
    progress : callable
        Gets a line of text.

    Returns
    -------
    tuple of float
        The mean divergence of the members before and after.
    """
    prior = vae.prior
    assert not isinstance(prior, StandardNormal), "it has nothing to fit"
    with torch.no_grad():
        means, log_variances = zip(*map(vae.encode, members.split(ENCODED_AT_ONCE)), strict=True)
        mean = torch.cat(means)
        log_variance = torch.cat(log_variances)
        before = prior.divergence(mean, log_variance).mean().item()
        prior.fit(mean, log_variance)
        after = prior.divergence(mean, log_variance).mean().item()
    progress(f"divergence per latent: from {before / mean[0].numel():.4g} to {after / mean[0].numel():.4g}")
    return before, after


def finetune(
    vae: VAE,
    members: torch.Tensor,
    settings: TrainedFinetuneSettings,
    draws: Draws,
    progress: Callable[[str], None] = print,
    checkpoint: Checkpoint | None = None,
) -> Course:
    """Train the parameters that are not frozen on ensemble perturbations, with the VAE's own loss.

    Parameters
    ----------
    vae : VAE
        Changed in place.
    members : (members, channels, lat, lon)
        Normalised perturbations.
    settings : TrainedFinetuneSettings
    draws : Draws
    progress : callable
        Gets lines of text.
    checkpoint : Checkpoint, optional
        See `networks.training.train`.
    """
    per_epoch = -(-len(members) // settings.batch)
    order = torch.cat([torch.randperm(len(members), generator=draws.generator) for _ in range(settings.epochs)])
    batches = [part for epoch in order.split(len(members)) for part in epoch.split(settings.batch)]

    def loss(step: int) -> torch.Tensor:
        picked = members[batches[step].to(members.device)]
        noise = torch.randn(len(picked), *vae.latent_shape, generator=draws.generator).to(members)
        return vae.loss(picked, noise)

    training = TrainingSettings(settings.epochs * per_epoch, settings.batch, settings.learning_rate)
    trainable = [parameter for parameter in vae.parameters() if parameter.requires_grad]
    vae.autocast = True
    course = train(trainable, loss, training, progress, per_epoch, draws=draws, checkpoint=checkpoint)
    vae.autocast = False
    return course


@dataclass(frozen=True)
class Finetuned:
    """The VAE of a cycle.

    Attributes
    ----------
    vae : VAE
    adapters : AdapterSettings or None
        The adapters that were added; None if all weights were finetuned.
    members : int
        Size of the ensemble.
    finetuned : bool
        False if the ensemble was too small; the VAE is then that of the cycle before, or the pretrained one.
    distance : float
        Distance from the pretrained VAE: the root mean square difference of what both decode from the same random
        numbers, over that of the pretrained one's increments.
    """

    vae: VAE
    adapters: AdapterSettings | None
    members: int
    finetuned: bool
    distance: float

    def save(self, path: str | Path) -> None:
        """Write the adapters, or the whole VAE if there are none."""
        about: dict[str, Any] = {"members": self.members, "finetuned": self.finetuned, "distance": self.distance}
        if self.adapters is None:
            self.vae.save(path, **about)
            return
        own = adapters(self.vae)
        norm = sum(tensor.double().square().sum().item() for tensor in own.values()) ** 0.5
        save_weights(path, own, {"adapters": asdict(self.adapters), "norm": norm, **about})


def increments(vae: VAE) -> torch.Tensor:
    """Normalised increments, (latents, channels, lat, lon), from random numbers that all VAEs of a form share."""
    size = math.prod(vae.latent_shape)
    own = torch.randn(COMPARED_LATENTS, size, generator=generator(0, "distance"))
    added = torch.randn(COMPARED_LATENTS, vae.prior.rank, generator=generator(0, "distance", "added"))
    numbers = torch.cat([own, added], dim=1)
    with torch.no_grad():
        control = control_of(numbers.to(vae.deviation), vae.prior.standard)
        latents = torch.stack([vae.prior.latents(one) for one in control]).view(-1, *vae.latent_shape)
        return vae.decode(latents) - vae.decode(torch.zeros_like(latents[:1]))


def finetune_cycle(
    vae: VAE,
    members: torch.Tensor | None,
    settings: FinetuneSettings,
    added: AdapterSettings | None,
    draws: tuple[int, str],
    before: str | Path | None = None,
    progress: Callable[[str], None] = print,
    checkpoint: Checkpoint | None = None,
) -> Finetuned:
    """The VAE of one cycle: that of the cycle before, or the pretrained one, finetuned if the ensemble is large enough.

    Parameters
    ----------
    vae : VAE
        The pretrained VAE; it may be changed.
    members : (members, 69, lat, lon) or None
        Forecasts valid at this time, in the units of the state; None if there are none yet.
    settings : FinetuneSettings
    added : AdapterSettings or None
        The adapters that are added to the VAE and finetuned; None finetunes all weights.
    draws : tuple of int and str
        Seed and time, from which the random numbers are drawn.
    before : path or None
        The file that `Finetuned.save` wrote in the cycle before, to start from.
    checkpoint : Checkpoint, optional
        See `networks.training.train`.
    """
    seed, time = draws
    count = 0 if members is None else len(members)
    enough = members is not None and count >= settings.minimum_members
    # new adapters change nothing before they are trained
    pretrained = increments(vae) if enough or before is not None else None
    if added is not None:
        add_adapters(vae, added, generator(seed, "adapters"))
        if before is not None:
            load_adapters(vae, load_weights(before)[0])
    else:
        if before is not None:
            vae = VAE.load(before, vae.deviation.device)
        vae.requires_grad_(True)
    if members is None or not enough:
        progress(
            f"the ensemble has {count} members, fewer than minimum_members ({settings.minimum_members}): the VAE is "
            "not finetuned in this cycle"
        )
        return Finetuned(vae, added, count, False, _distance(vae, pretrained))
    normalised = perturbations(members.to(vae.deviation), vae.variables, settings.normalisation)
    normalised *= settings.ensemble_amplitude
    if isinstance(settings, TrainedFinetuneSettings):
        finetune(vae, normalised, settings, Draws(seed, "finetune", time), progress, checkpoint)
    else:
        fit_prior(vae, normalised, progress)
    return Finetuned(vae, added, count, True, _distance(vae, pretrained))


def _distance(vae: VAE, pretrained: torch.Tensor | None) -> float:
    """See `Finetuned`; without increments of the pretrained VAE, it is that VAE."""
    if pretrained is None:
        return 0.0
    return ((increments(vae) - pretrained).square().mean() / pretrained.square().mean()).sqrt().item()


def load_finetuned(vae: VAE, path: str | Path) -> VAE:
    """Add the adapters of a file to a VAE, in place, and freeze it. Latents without patterns stay as trained.

    Raises
    ------
    ValueError
        If the file cannot be read, or the adapters do not fit.
    """
    tensors, metadata = load_weights(path)
    add_adapters(vae, AdapterSettings(**metadata["adapters"]))
    load_adapters(vae, tensors)
    if isinstance(vae.prior, LowRankNormal) and not vae.prior.up.any():
        vae.prior = StandardNormal()
    return vae.requires_grad_(False)
