"""Training the VAE on NMC samples, and the two covariances that complete it as a background error model."""

from collections.abc import Callable

import torch

from ..grid import SphericalHarmonics
from ..network import NetworkSettings
from ..seeds import generator
from ..state import CHANNELS, GROUPS
from ..training import TrainingSettings, train
from ..weights import load_weights, save_weights
from .spectral import SpectralField, covariance_root, estimate_covariance
from .training_set import TrainingSet
from .vae import VAE, VAEErrorModel


def vae_network(settings: dict, shape: tuple[int, int]) -> NetworkSettings:
    """Sizes of the VAE's halves, from the configuration's section `vae.network`."""
    sizes = {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}
    groups, latent = sizes.pop("groups"), sizes.pop("latent_channels")
    return NetworkSettings(shape, (len(CHANNELS),) if groups == "together" else GROUPS, latent, **sizes)


def build_vae(settings: dict, samples: TrainingSet, truncation: int | None, initial=None, device="cpu") -> VAE:
    """A VAE of the configuration's sizes, from given weights, or drawn anew with the samples' standard deviation.

    Raises
    ------
    ValueError
        If the given weights are of other sizes than the configuration's.
    """
    network = vae_network(settings["network"], samples.grid.shape)
    if initial is not None:
        vae = VAE.load(initial, device)
        if (vae.settings, vae.grid, vae.sigma) != (network, samples.grid, settings["sigma"]):
            raise ValueError(
                f"{initial}: was trained with {vae.settings}, sigma {vae.sigma}, on {vae.grid}; the configuration's "
                f"vae.network, vae.sigma and error_grid ask for {network}, {settings['sigma']}, {samples.grid}"
            )
        return vae
    torch.manual_seed(settings["training"]["seed"])
    vae = VAE(samples.grid, truncation, network, settings["sigma"], device)
    vae.deviation.copy_(torch.from_numpy(samples.deviation).view(-1, 1, 1))
    return vae


def normalised(samples: TrainingSet, vae: VAE) -> Callable[[list[int]], torch.Tensor]:
    """A function that gives samples by their indices, divided by the VAE's standard deviations."""
    deviation = vae.deviation.cpu()
    return lambda indices: torch.from_numpy(samples.read(indices)) / deviation


def pretrain(
    vae: VAE,
    samples: Callable[[list[int]], torch.Tensor],
    indices: list[int],
    settings: TrainingSettings,
    seed: int,
    progress=print,
) -> list[float]:
    """Train a VAE by its own loss; gives the loss of every update.

    Parameters
    ----------
    samples : function
        Gives normalised errors, (batch, channels, lat, lon), by their indices.
    indices : list of int
        The samples to train on, gone through in a new random order each time.
    """
    draws = generator(seed, "pretrain")
    device = vae.deviation.device
    queue: list[int] = []

    def loss(step):
        while len(queue) < settings.batch:
            queue.extend(indices[i] for i in torch.randperm(len(indices), generator=draws).tolist())
        batch = samples([queue.pop() for _ in range(settings.batch)]).to(device)
        noise = torch.randn(len(batch), vae.latent_channels, *vae.grid.shape, generator=draws).to(device)
        return vae.loss(batch, noise)

    vae.train().requires_grad_(True)
    vae.autocast = True
    losses = train(vae.parameters(), loss, settings, progress)
    vae.autocast = False
    vae.eval().requires_grad_(False)
    return losses


def fit_completion(
    vae: VAE,
    samples: Callable[[list[int]], torch.Tensor],
    indices: list[int],
    latent_harmonics: SphericalHarmonics,
    harmonics: SphericalHarmonics,
    seed: int,
    batch: int = 8,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Covariances L of encoded samples and R of what decoding them leaves, per total wavenumber.

    Both use samples of q(z | e), cut off at the latent truncation, so that D(L^(1/2) w) and R^(1/2) v are uncorrelated
    parts of one error. Use samples that the VAE was not trained on.
    """
    draws = generator(seed, "completion")
    latents, residuals = [], []
    with torch.no_grad():
        for first in range(0, len(indices), batch):
            errors = samples(indices[first : first + batch]).to(vae.deviation.device)
            mean, log_variance = vae.encode(errors)
            noise = torch.randn(mean.shape, generator=draws).to(mean)
            latent = latent_harmonics.project(mean + (0.5 * log_variance).exp() * noise)
            latents.append(latent)
            residuals.append(errors - vae.decode(latent))
    return estimate_covariance(latents, latent_harmonics), estimate_covariance(residuals, harmonics)


def save_completion(path, latent: torch.Tensor, residual: torch.Tensor, **provenance):
    tensors = {"latent_root": covariance_root(latent).float(), "residual_root": covariance_root(residual).float()}
    save_weights(path, tensors, {"provenance": provenance})


def load_error_model(vae: VAE, path, prior: str, residual_amplitude: float) -> VAEErrorModel:
    """A VAE's error model with the completion of a file.

    Parameters
    ----------
    prior : str
        ``spectral``: latents have the covariance of the encoded samples; ``white``: the identity, as published.
    residual_amplitude : float
        0 leaves the residual out, as published.
    """
    tensors, _ = load_weights(path)
    device = vae.deviation.device

    def field(name):
        root = tensors[name].to(device)
        return SpectralField(root, SphericalHarmonics(vae.grid, root.shape[0] - 1, device=device))

    if prior not in ("spectral", "white"):
        raise ValueError(f"latent prior {prior!r} is unknown; known: spectral, white")
    latent = field("latent_root") if prior == "spectral" else None
    residual = field("residual_root") if residual_amplitude else None
    return VAEErrorModel(vae, latent, residual, residual_amplitude)
