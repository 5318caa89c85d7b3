"""Training of the VAE on NMC samples, and the residual that completes it as a background error model."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import torch

from ..fields.grid import Grid
from ..fields.harmonics import SphericalHarmonics
from ..fields.seeds import generator
from ..fields.spreading import evenly
from ..fields.state import CHANNELS, GROUPS
from ..files.weights import load_weights, save_weights
from ..networks.checkpoint import Checkpoint
from ..networks.swin import NetworkSettings, count_parameters, without_weights
from ..networks.training import Course, Draws, TrainingSettings, Validation, train
from ..networks.workers import ALONE, Workers
from .error_variables import ErrorVariables
from .settings import VAESettings
from .spectral import SpectralField, covariance_root, estimate_covariance
from .training_set import TrainingSet
from .vae import FORMS, VAE, SpectralVAE, VAEBackgroundError

#: gives errors in the units of the state, (batch, 69, lat, lon), by their indices
Samples: TypeAlias = Callable[[list[int]], torch.Tensor]


def vae_network(settings: dict[str, Any], shape: tuple[int, int]) -> NetworkSettings:
    """Sizes of the encoder and decoder, from the section `network` of an entry of the configuration's `vaes`."""
    sizes: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()
    }
    groups = sizes.pop("groups")
    latent = sizes.pop("latent_channels")
    if groups == "together":
        return NetworkSettings(shape, (len(CHANNELS),), (sum(latent),), **sizes)
    return NetworkSettings(shape, GROUPS, latent, **sizes)


def vae_blocks(settings: dict[str, Any]) -> tuple[int, ...]:
    """Latent channels of every control variable, from the same section; empty if latents belong to no variable."""
    together = settings["groups"] == "together"
    return tuple(settings["latent_channels"]) if together and len(settings["latent_channels"]) > 1 else ()


def load_vae(settings: dict[str, Any], grid: Grid, path: str | Path, device: torch.device | str = "cpu") -> VAE:
    """Load the VAE of a file, to be trained further.

    Raises
    ------
    ValueError
        If its form or its sizes are not those of the configuration.
    """
    vae = VAE.load(path, device)
    wanted = {key: settings[key] for key in ("latents", "variables", "standard_deviation", "sigma")}
    wanted |= {"network": vae_network(settings["network"], grid.shape), "grid": grid}
    wanted["blocks"] = vae_blocks(settings["network"])
    found = {key: getattr(vae, key) for key in ("latents", "sigma", "grid", "blocks")} | {"network": vae.settings}
    found |= {key: getattr(vae.variables, key) for key in ("variables", "standard_deviation")}
    differing = [f"{key} is {found[key]}, not {wanted[key]}" for key in wanted if found[key] != wanted[key]]
    if differing:
        raise ValueError(f"{path} does not fit the configuration's vaes and error_grid: its {'; its '.join(differing)}")
    return vae


def new_vae(
    settings: dict[str, Any],
    grid: Grid,
    truncation: int | None,
    samples: Samples,
    indices: list[int],
    device: torch.device | str = "cpu",
    batch: int = 16,
) -> VAE:
    """Make a VAE of the configuration's form and sizes; its variables and, if it has one, its linear stage are fitted.

    Its other weights are drawn at random.

    Parameters
    ----------
    settings : dict
        An entry of the configuration's section `vaes`.
    grid : Grid
    truncation : int or None
        Of errors; None keeps all.
    samples : function
    indices : list of int
        As `pretrain` takes them.
    device : str or torch.device
    batch : int
        Number of samples that are read at once.
    """

    def errors() -> Iterator[torch.Tensor]:
        return _in_batches(samples, indices, batch, device)

    torch.manual_seed(settings["training"]["seed"])
    vae = _drawn(settings, grid, truncation, device)
    vae.variables.fit(errors)
    if isinstance(vae, SpectralVAE):
        normalised = (vae.variables.normalise(part) for part in errors())
        vae.fit_basis(estimate_covariance(normalised, SphericalHarmonics(grid, vae.truncation, device=device)))
    return vae


def _in_batches(samples: Samples, indices: list[int], batch: int, device: torch.device | str) -> Iterator[torch.Tensor]:
    """Errors in the units of the state, in batches of (batch, 69, lat, lon)."""
    for first in range(0, len(indices), batch):
        yield samples(indices[first : first + batch]).to(device)


def _drawn(settings: dict[str, Any], grid: Grid, truncation: int | None, device: torch.device | str = "cpu") -> VAE:
    """A VAE before anything is fitted, with random weights."""
    variables = ErrorVariables(grid, truncation, settings["variables"], settings["standard_deviation"], device)
    form = FORMS[settings["latents"]]
    network = settings["network"]
    return form(variables, vae_network(network, grid.shape), settings["sigma"], device, vae_blocks(network))


def size_of_vae(settings: dict[str, Any], grid: Grid, truncation: int | None) -> int:
    """The number of weights of a VAE of the configuration's section `vaes`; they are not drawn, and take no memory."""
    with without_weights():
        return count_parameters(_drawn(settings, grid, truncation))


def samples_of(training_set: TrainingSet) -> Samples:
    """A function that returns errors of a training set by their indices."""
    return lambda indices: torch.from_numpy(training_set.read(indices))


#: most held-out samples that a look at the validation loss takes
LOOKED_AT = 64


def pretrain(
    vae: VAE,
    samples: Samples,
    indices: list[int],
    settings: TrainingSettings,
    seed: int,
    progress: Callable[[str], None] = print,
    held_out: Sequence[int] = (),
    patience: int | None = None,
    checkpoint: Checkpoint | None = None,
    workers: Workers = ALONE,
) -> Course:
    """Train a VAE with its own loss.

    Parameters
    ----------
    samples : function
        Returns errors in the units of the state, (batch, 69, lat, lon), by their indices.
    indices : list of int
        The samples to train on, in a new random order in every epoch.
    held_out : sequence of int
        Samples for the validation loss after every epoch, at most `LOOKED_AT`, evenly spread; empty: no validation.
    patience : int or None
        See `networks.training.Validation`.
    checkpoint : Checkpoint, optional
    workers : Workers, optional
        See `networks.training.train`.
    """
    draws = Draws(seed, "pretrain")
    own = workers.share(settings.batch)

    def normalised(picked: Sequence[int]) -> torch.Tensor:
        return vae.variables.normalise(samples(list(picked)).to(vae.deviation.device))

    def loss(step: int) -> torch.Tensor:
        picked = draws.next(indices, settings.batch)
        noise = _noise(vae, settings.batch, draws.generator)
        return vae.loss(normalised(picked[own]), noise[own])

    def validation_loss() -> float:
        looked_at = evenly(held_out, LOOKED_AT)
        noise = generator(seed, "validation")
        total = 0.0
        with torch.no_grad():
            for first in range(0, len(looked_at), settings.batch):
                batch = normalised(looked_at[first : first + settings.batch])
                total += len(batch) * vae.loss(batch, _noise(vae, len(batch), noise)).item()
        return total / len(looked_at)

    per_epoch = -(-len(indices) // settings.batch)
    validation = Validation(validation_loss, per_epoch, patience) if held_out else None
    vae.train().requires_grad_(True)
    vae.autocast = True
    course = train(
        vae.parameters(),
        loss,
        settings,
        progress,
        validation=validation,
        draws=draws,
        checkpoint=checkpoint,
        workers=workers,
    )
    vae.autocast = False
    vae.eval().requires_grad_(False)
    return course


def _noise(vae: VAE, count: int, draws: torch.Generator) -> torch.Tensor:
    """Standard normal numbers for `count` latents."""
    return torch.randn(count, *vae.latent_shape, generator=draws).to(vae.deviation.device)


def fit_residual(
    vae: VAE,
    samples: Samples,
    indices: list[int],
    harmonics: SphericalHarmonics,
    draws_count: int,
    seed: int,
    batch: int = 8,
) -> torch.Tensor:
    """Covariance R per wavenumber, (T + 1, channels, channels), that decoded standard normal latents do not have.

    R is the positive part of the covariance of the samples less that of D(z) - D(0), so that both terms of the error
    model together have the covariance of the samples wherever the decoder's own does not exceed it. Of a `SpectralVAE`
    it is known without draws: the noise of the generative model, where the samples hold as much.

    Parameters
    ----------
    vae : VAE
    samples : function
    indices : list of int
        As `pretrain` takes them.
    harmonics : SphericalHarmonics
        Of the wanted truncation T, on the grid of the VAE.
    draws_count : int
        Latents to decode.
    seed : int
    batch : int
        Samples, or latents, at once.
    """
    draws = generator(seed, "residual")

    def decoded() -> Iterator[torch.Tensor]:
        zero = vae.decode(vae.deviation.new_zeros(1, *vae.latent_shape))
        for _ in range(0, draws_count, batch):
            latent = torch.randn(batch, *vae.latent_shape, generator=draws)
            yield vae.decode(latent.to(vae.deviation)) - zero

    with torch.no_grad():
        errors = _in_batches(samples, indices, batch, vae.deviation.device)
        covariance = estimate_covariance(map(vae.variables.normalise, errors), harmonics)
        if isinstance(vae, SpectralVAE):
            return vae.lacking(covariance)
        missing = covariance - estimate_covariance(decoded(), harmonics)
    values, vectors = torch.linalg.eigh(missing)
    return vectors @ (values.clamp_min(0.0).unsqueeze(-1) * vectors.mT)


def save_residual(path: str | Path, covariance: torch.Tensor, **provenance: Any) -> None:
    """Write the file that `load_background_error` reads: the root of R, (T + 1, channels, channels), and its origin."""
    save_weights(path, {"root": covariance_root(covariance).float()}, {"provenance": provenance})


def load_background_error(vae: VAE, path: str | Path, settings: VAESettings) -> VAEBackgroundError:
    """Load a VAE's error model with the residual of a file; an amplitude of 0 leaves the residual out, as published."""
    vae.autocast = settings.precision == "bfloat16"
    root = load_weights(path)[0]["root"].to(vae.deviation.device)
    harmonics = SphericalHarmonics(vae.grid, root.shape[0] - 1, device=vae.deviation.device)
    return VAEBackgroundError(vae, SpectralField(root, harmonics), settings.residual_amplitude)
