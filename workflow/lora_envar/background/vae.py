"""The learned background error: a variational autoencoder of normalised forecast errors (VAE-Var, ICLR 2025).

Generative model: f = D(z) + sigma eps with z and eps standard normal; f = T e / S are normalised errors, see
`error_variables`: as published, errors divided by their standard deviation per channel. Trained on NMC samples with the
negative evidence lower bound, |f - D(z)|^2 / (2 sigma^2) + KL(q(z | f) || N(0, 1)).

As a background error model it gives increments

    dx = T^-1 S [D(z) - D(0) + a R^(1/2) v],    z, v standard normal.

The published VAE-Var has a = 0 and does not subtract D(0). But decoded standard normal latents have less variance than
the errors: latents of encoded errors are correlated in space, those of the prior are not, and the decoder drops the
generative model's noise. What is missing never gets corrected, and builds up from cycle to cycle. R is what is missing,
a homogeneous and isotropic covariance, so that both terms together have the covariance of the training set.

Two forms share this: `VAE`, whose latents are fields on the grid, as published, and `SpectralVAE`, whose latents are
spherical-harmonic coefficients around a linear stage that is known in closed form.
"""

import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..fields.grid import Grid
from ..fields.harmonics import SphericalHarmonics, finest_truncation
from ..files.kept_weights import shared_weights
from ..files.weights import save_weights
from ..networks.swin import Network, NetworkSettings, mixed_precision, move, put_weights, without_weights
from ..settings import settings_from
from .background_error import BackgroundError
from .error_variables import ErrorVariables
from .genbe import consecutive
from .prior import LowRankNormal, ScaledNormal, StandardNormal
from .spectral import SpectralField, per_wave


class VAE(nn.Module):
    """Encoder and decoder, each a `Network`, with latent fields on the error grid: the published form.

    Parameters
    ----------
    variables : ErrorVariables
        The variables in which the VAE sees errors.
    network : NetworkSettings
        Of the encoder, as if it had one output per latent channel: `inputs` are the state's groups, `outputs` each
        group's latent channels. The decoder has them the other way round.
    sigma : float
        Standard deviation of the observation noise of the generative model.
    device : str or torch.device
    blocks : tuple of int
        Latent channels of every block of `variables.blocks`; empty if latents belong to no block.

    Attributes
    ----------
    truncation : int or None
        Wavenumber beyond which decoded fields are cut off; None keeps all.
    """

    latents = "grid"
    truncation: int | None
    harmonics: SphericalHarmonics | None
    prior: StandardNormal | ScaledNormal | LowRankNormal

    def __init__(
        self,
        variables: ErrorVariables,
        network: NetworkSettings,
        sigma: float,
        device: torch.device | str = "cpu",
        blocks: tuple[int, ...] = (),
    ) -> None:
        super().__init__()
        self.blocks = blocks
        self.variables = variables
        self.grid = variables.grid
        self.truncation = self._cut_off(variables)
        self.settings = network
        self.sigma = sigma
        self.autocast = False  # run both networks, and nothing else, in bfloat16 where it is native
        self.prior = StandardNormal()
        self.encoder, self.decoder = self._networks(network)
        self.harmonics = None
        if self.truncation is not None:
            self.harmonics = SphericalHarmonics(self.grid, self.truncation, device=device)
        move(self, device)

    @staticmethod
    def _cut_off(variables: ErrorVariables) -> int | None:
        return variables.waves

    @property
    def deviation(self) -> torch.Tensor:
        """S, which also has the type and device of everything else."""
        return self.variables.deviation

    @staticmethod
    def _networks(settings: NetworkSettings) -> tuple[Network, Network]:
        """Encoder and decoder, their weights drawn in this order."""
        return (
            Network(replace(settings, outputs=tuple(2 * count for count in settings.outputs))),
            Network(replace(settings, inputs=settings.outputs, outputs=settings.inputs)),
        )

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """Shape of the latents of one sample: (latent channels, lat, lon)."""
        return sum(self.settings.outputs), *self.grid.shape

    def latent_parts(self) -> dict[str, slice]:
        """Positions among the flattened latents of the parts that may each be wrong by a factor of their own."""
        return {"latents": slice(0, math.prod(self.latent_shape))}

    def _run(self, network: Network, x: torch.Tensor) -> torch.Tensor:
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
        noise : (batch, *latent_shape)
            Standard normal, for the reparametrisation.
        """
        mean, log_variance = self.encode(errors)
        decoded = self.decode(mean + (0.5 * log_variance).exp() * noise)
        weights = torch.as_tensor(self.grid.area_weights, dtype=errors.dtype, device=errors.device)[:, None]
        reconstruction = ((errors - decoded) ** 2 * weights).sum((1, 2, 3)) / (2 * self.sigma**2)
        return (reconstruction + self.prior.divergence(mean, log_variance)).mean() / errors[0].numel()

    def save(self, path: str | Path, half: bool = False, **provenance: Any) -> None:
        """Write weights and sizes, as `files.weights.save_weights` does; `provenance` says how it was trained."""
        settings = {
            "latents": self.latents,
            "grid": asdict(self.grid),
            "truncation": self.variables.truncation,
            "variables": self.variables.variables,
            "standard_deviation": self.variables.standard_deviation,
            "network": asdict(self.settings),
            "sigma": self.sigma,
            "blocks": self.blocks,
            "provenance": provenance,
        }
        save_weights(path, self.state_dict(), settings, half)

    @staticmethod
    def load(path: str | Path, device: torch.device | str = "cpu") -> "VAE":
        """Load a VAE of either form that `save` wrote, to be run and not trained.

        Raises
        ------
        ValueError
            If the file cannot be read.
        """
        tensors, settings = shared_weights(path, device)
        if "variables" not in settings:
            raise ValueError(f"{path} was written by an earlier version of this workflow; train the VAE again")
        network = settings_from(NetworkSettings, settings["network"])
        form = FORMS[settings["latents"]]
        kind = settings["variables"], settings["standard_deviation"]
        variables = ErrorVariables(Grid(**settings["grid"]), settings["truncation"], *kind, device)
        with without_weights():
            model = form(variables, network, settings["sigma"], device, tuple(settings.get("blocks", ())))
        put_weights(model, tensors, device)
        return model.eval().requires_grad_(False)


class SpectralVAE(VAE):
    """A VAE around probabilistic principal components per total wavenumber.

        D(z) = P[y + N(y)],   y = sum_lm W_l z_lm Y_lm

    with N a `Network` that gives zero before it is trained. The latents z are coefficients, standard normal and
    uncorrelated in space whatever N learns. The encoder is the linear stage's exact posterior, applied to e + E(e) with
    E a second `Network`; its variance has one learned factor per wavenumber and latent channel. With N = E = 0 and
    W_l = U (Lambda - s^2)^(1/2) from the largest eigenvalues and eigenvectors of the errors' covariance, s^2 the noise
    per coefficient, this is the maximum likelihood solution of all linear models (Tipping and Bishop 1999), hence
    the Gaussian background error less its noise: training starts where 3D-Var is, and adds what is not homogeneous,
    isotropic or linear.

    With `blocks` every control variable has components, and latents, of its own. Correlations between them, small by
    the choice of these variables, are left to N; and the variance of each can be calibrated apart (see
    `analysis.amplitudes`).

    Parameters
    ----------
    network : NetworkSettings
        `inputs` are the state's groups; of `outputs` the sum is the number of latent channels.

    Raises
    ------
    ValueError
        If there are not as many `blocks` as the variables have, or if they do not add up to the latent channels.
    """

    latents = "spectral"
    truncation: int
    inside: torch.Tensor
    harmonics: SphericalHarmonics

    def __init__(
        self,
        variables: ErrorVariables,
        network: NetworkSettings,
        sigma: float,
        device: torch.device | str = "cpu",
        blocks: tuple[int, ...] = (),
    ) -> None:
        super().__init__(variables, network, sigma, device, blocks)
        waves = self.truncation + 1
        channels = sum(network.inputs)
        latent = sum(network.outputs)
        self.basis = nn.Parameter(torch.zeros(waves, channels, latent))
        self.log_variance = nn.Parameter(torch.zeros(waves, latent))
        own = {"latents": (slice(0, channels), slice(0, latent))}
        if blocks:
            channels_of = variables.blocks()
            if len(blocks) != len(channels_of) or sum(blocks) != latent:
                raise ValueError(
                    f"the blocks have {blocks} latent channels, but must have {latent} in {len(channels_of)} blocks"
                )
            own = dict(zip(channels_of, zip(channels_of.values(), consecutive(blocks), strict=True), strict=True))
        self._own = own
        inside = torch.zeros(channels, latent)
        for where, place in own.values():
            inside[where, place] = 1.0
        self.register_buffer("inside", inside, persistent=False)
        move(self, device)

    @staticmethod
    def _cut_off(variables: ErrorVariables) -> int:
        return variables.waves or finest_truncation(variables.grid)

    @staticmethod
    def _networks(settings: NetworkSettings) -> tuple[Network, Network]:
        """Encoder and decoder, their weights drawn in this order; both give zero before they are trained."""
        encoder = Network(replace(settings, outputs=settings.inputs))
        decoder = Network(replace(settings, outputs=settings.inputs))
        for group in (*encoder.decoders, *decoder.decoders):
            for parameter in group.get_submodule("recovery").parameters():
                nn.init.zeros_(parameter)
        return encoder, decoder

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """Shape of the latents of one sample: (latent channels, coefficients)."""
        return sum(self.settings.outputs), self.harmonics.size

    def latent_parts(self) -> dict[str, slice]:
        """One part for all latents, or one per block."""
        size = self.harmonics.size
        return {name: slice(place.start * size, place.stop * size) for name, (_, place) in self._own.items()}

    @property
    def noise(self) -> float:
        """s^2: variance per coefficient of the noise sigma eps, which is white on the grid's points."""
        return self.sigma**2 / (self.grid.nlat * self.grid.nlon)

    def fit_basis(self, covariance: torch.Tensor) -> None:
        """Set the linear stage from the covariance of normalised errors per wavenumber, (T + 1, channels, channels)."""
        with torch.no_grad():
            for where, place in self._own.values():
                values, vectors = torch.linalg.eigh(covariance[:, where, where])
                count = place.stop - place.start
                largest = values.flip(-1)[..., :count]
                weight = vectors.flip(-1)[..., :count] * (largest - self.noise).clamp_min(0.0).sqrt().unsqueeze(-2)
                self.basis[:, where, place] = weight.to(self.basis)

    @property
    def weight(self) -> torch.Tensor:
        """W_l, (T + 1, channels, latent channels): zero between blocks."""
        return self.basis * self.inside

    def lacking(self, covariance: torch.Tensor) -> torch.Tensor:
        """The part of a covariance per wavenumber that the linear stage lacks: at most the noise, and not negative."""
        weight = self.weight.detach().to(covariance)
        missing = covariance - weight @ weight.mT
        lacking = torch.zeros_like(missing)
        for where, _ in self._own.values():
            values, vectors = torch.linalg.eigh(missing[:, where, where])
            lacking[:, where, where] = vectors @ (values.clamp(0.0, self.noise).unsqueeze(-1) * vectors.mT)
        return lacking

    def linear(self, latent: torch.Tensor) -> torch.Tensor:
        """y, (batch, channels, lat, lon), of latents (batch, latent channels, coefficients)."""
        return self.harmonics.synthesise(per_wave(self.weight, latent, self.harmonics))

    def encode(self, errors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log-variance of the latents, each (batch, latent channels, coefficients), of normalised errors."""
        basis = self.weight.double()
        noise = self.noise * torch.eye(basis.shape[-1], dtype=basis.dtype, device=basis.device)
        inverse = torch.linalg.inv(basis.mT @ basis + noise)
        coefficients = self.harmonics.analyse(errors + self._run(self.encoder, errors))
        mean = per_wave((inverse @ basis.mT).to(errors), coefficients, self.harmonics)
        variance = self.noise * inverse.diagonal(dim1=-2, dim2=-1)
        log_variance = (variance.log().to(errors) + self.log_variance)[self.harmonics.degree].T
        return mean, log_variance.expand_as(mean)

    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        """Normalised errors, (batch, channels, lat, lon), of latents (batch, latent channels, coefficients)."""
        linear = self.linear(latent)
        return linear + self.harmonics.project(self._run(self.decoder, linear))


#: the configuration's `vae.latents`
FORMS: dict[str, type[VAE]] = {form.latents: form for form in (VAE, SpectralVAE)}


class VAEBackgroundError(BackgroundError):
    """Increments of a VAE, see the module. Control vectors are the latents', the adapter's and the residual's numbers.

    Parameters
    ----------
    vae : VAE
        With or without adapters.
    residual : SpectralField
        R^(1/2), over the state's channels.
    residual_amplitude : float
        a; 0 leaves the residual out, as published.
    """

    def __init__(self, vae: VAE, residual: SpectralField, residual_amplitude: float) -> None:
        self.vae = vae
        self.residual = residual
        self.residual_amplitude = residual_amplitude
        self._latent_size = math.prod(vae.latent_shape)
        self._prior_size = self._latent_size + vae.prior.rank
        self.control_size = self._prior_size + (residual.control_size if residual_amplitude else 0)
        with torch.no_grad():
            self._zero = vae.decode(vae.deviation.new_zeros(1, *vae.latent_shape))[0]

    def increment(self, control: torch.Tensor) -> torch.Tensor:
        """Increment of shape (69, lat, lon), of a control vector of length `control_size`."""
        latent = self.vae.prior.latents(control[: self._prior_size]).view(1, *self.vae.latent_shape)
        normalised = self.vae.decode(latent)[0] - self._zero
        if self.residual_amplitude:
            normalised = normalised + self.residual_amplitude * self.residual(control[self._prior_size :])
        return self.vae.variables.restore(normalised)

    def standard(self, control: torch.Tensor) -> torch.Tensor:
        """The standard normal numbers of latents, adapter and residual."""
        return torch.cat([self.vae.prior.standard(control[: self._prior_size]), control[self._prior_size :]])

    def parts(self) -> dict[str, slice]:
        """The latents, all together or by block, their adapter to the ensemble, and the residual."""
        parts = self.vae.latent_parts()
        if self.vae.prior.rank:
            parts["ensemble"] = slice(self._latent_size, self._prior_size)
        if self.residual_amplitude:
            parts["residual"] = slice(self._prior_size, None)
        return parts
