"""The learned background error: a variational autoencoder of normalised forecast errors (VAE-Var, ICLR 2025).

Generative model: e / S = D(z) + sigma eps with z and eps standard normal; S is the standard deviation per channel.
Trained on NMC samples with the negative evidence lower bound, |e / S - D(z)|^2 / (2 sigma^2) + KL(q(z | e) || N(0, 1)).

As a background error model it gives increments

    dx = S [D(z) - D(0)] + a S R^(1/2) v,    z, v standard normal.

The published VAE-Var has a = 0 and does not subtract D(0). But decoded standard normal latents have less variance than
the errors: latents of encoded errors are correlated in space, those of the prior are not, and the decoder drops the
generative model's noise. What they lack never gets corrected, and builds up from cycle to cycle. R is that lack, a
homogeneous and isotropic covariance, so that both terms together have the covariance of the training set.
"""

from dataclasses import asdict, replace

import torch
from torch import nn

from ..grid import Grid, SphericalHarmonics
from ..network import Network, NetworkSettings, mixed_precision
from ..weights import load_weights, save_weights, settings_from
from .spectral import GaussianErrorModel, SpectralField


class VAE(nn.Module):
    """Encoder and decoder, each a `Network`, with latent fields on the error grid.

    Parameters
    ----------
    grid : Grid
        The error grid.
    truncation : int or None
        Wavenumber beyond which decoded fields are cut off; None keeps all.
    network : NetworkSettings
        Of the encoder, as if it had one output per latent channel: `inputs` are the state's groups, `outputs` each
        group's latent channels. The decoder has them the other way round.
    sigma : float
        Standard deviation of the observation noise of the generative model.
    """

    def __init__(self, grid: Grid, truncation: int | None, network: NetworkSettings, sigma: float, device="cpu"):
        super().__init__()
        self.grid, self.truncation, self.settings, self.sigma = grid, truncation, network, sigma
        self.autocast = False  # run both networks, and nothing else, in bfloat16 where it is native
        self.encoder = Network(replace(network, outputs=tuple(2 * count for count in network.outputs)))
        self.decoder = Network(replace(network, inputs=network.outputs, outputs=network.inputs))
        self.register_buffer("deviation", torch.ones(sum(network.inputs), 1, 1))
        self.to(device)
        self.harmonics = None if truncation is None else SphericalHarmonics(grid, truncation, device=device)

    @property
    def latent_channels(self) -> int:
        return sum(self.settings.outputs)

    def _run(self, network, x):
        with mixed_precision(x.device, self.autocast):
            return network(x).to(x.dtype)

    def encode(self, errors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log-variance of the latent fields, each (batch, latent channels, lat, lon), of normalised errors.

        Every group's outputs are its own means and log-variances, so that no group reads another's.
        """
        groups = self._run(self.encoder, errors).split([2 * count for count in self.settings.outputs], dim=1)
        mean, log_variance = zip(*(group.chunk(2, dim=1) for group in groups), strict=True)
        return torch.cat(mean, dim=1), torch.cat(log_variance, dim=1).clamp(-12.0, 6.0)

    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        """Normalised errors, (batch, channels, lat, lon), of latent fields."""
        decoded = self._run(self.decoder, latent)
        return decoded if self.harmonics is None else self.harmonics.project(decoded)

    def loss(self, errors: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Negative evidence lower bound per grid point and channel (up to a constant), averaged over the batch.

        Parameters
        ----------
        errors : (batch, channels, lat, lon)
            Normalised errors.
        noise : (batch, latent channels, lat, lon)
            Standard normal, for the reparametrisation.
        """
        mean, log_variance = self.encode(errors)
        decoded = self.decode(mean + (0.5 * log_variance).exp() * noise)
        weights = torch.as_tensor(self.grid.area_weights, dtype=errors.dtype, device=errors.device)[:, None]
        reconstruction = ((errors - decoded) ** 2 * weights).sum((1, 2, 3)) / (2 * self.sigma**2)
        divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum((1, 2, 3))
        return (reconstruction + divergence).mean() / errors[0].numel()

    def save(self, path, half: bool = False, **provenance):
        settings = {
            "grid": asdict(self.grid),
            "truncation": self.truncation,
            "network": asdict(self.settings),
            "sigma": self.sigma,
            "provenance": provenance,
        }
        save_weights(path, self.state_dict(), settings, half)

    @classmethod
    def load(cls, path, device="cpu") -> "VAE":
        tensors, settings = load_weights(path)
        network = settings_from(NetworkSettings, settings["network"])
        model = cls(Grid(**settings["grid"]), settings["truncation"], network, settings["sigma"], device)
        model.load_state_dict(tensors)
        return model.eval().requires_grad_(False)


class VAEErrorModel:
    """Increments of a VAE, see the module.

    Parameters
    ----------
    vae : VAE
        With or without adapters.
    residual : SpectralField
        R^(1/2), over the state's channels.
    residual_amplitude : float
        a; 0 leaves the residual out, as published.
    """

    def __init__(self, vae: VAE, residual: SpectralField, residual_amplitude: float):
        self.vae, self.residual, self.residual_amplitude = vae, residual, residual_amplitude
        self._latent_size = vae.latent_channels * vae.grid.nlat * vae.grid.nlon
        self.control_size = self._latent_size + (residual.control_size if residual_amplitude else 0)
        with torch.no_grad():
            self._zero = vae.decode(vae.deviation.new_zeros(1, vae.latent_channels, *vae.grid.shape))[0]

    def increment(self, control: torch.Tensor) -> torch.Tensor:
        latent = control[: self._latent_size].view(1, -1, *self.vae.grid.shape)
        normalised = self.vae.decode(latent)[0] - self._zero
        if self.residual_amplitude:
            normalised = normalised + self.residual_amplitude * self.residual(control[self._latent_size :])
        return self.vae.deviation * normalised

    def linear_part(self) -> tuple[GaussianErrorModel, slice] | None:
        """The residual."""
        if not self.residual_amplitude:
            return None
        model = GaussianErrorModel(self.residual, self.residual_amplitude * self.vae.deviation)
        return model, slice(self._latent_size, None)
