"""Homogeneous, isotropic covariances: one channel-by-channel matrix per total wavenumber.

For coefficients a_lm (a vector over channels) of an isotropic random field, E[a_lm a_l'm'^T] = C_l if l = l' and m = m'
and zero otherwise. The square root applied to white noise, x = S sum_lm C_l^(1/2) v_lm Y_lm, makes samples; it is the
whole of the Gaussian background error, the prior of the VAE's latent fields, and the VAE's residual.
"""

from collections.abc import Iterable

import torch

from ..fields.harmonics import SphericalHarmonics
from .background_error import BackgroundError


def estimate_covariance(samples: Iterable[torch.Tensor], harmonics: SphericalHarmonics) -> torch.Tensor:
    """Covariance per total wavenumber, shape (T + 1, channels, channels), float64.

    Parameters
    ----------
    samples : iterable of tensors
        Batches of shape (batch, channels, lat, lon) with zero expectation.
    harmonics : SphericalHarmonics

    Raises
    ------
    ValueError
        If there are no samples.
    """
    covariance = SpectralCovariance(harmonics.degree)
    for batch in samples:
        covariance.add(harmonics.analyse(batch))
    return covariance.estimate()


class SpectralCovariance:
    """Accumulates the covariance per total wavenumber of coefficients with zero expectation.

    Parameters
    ----------
    degree : (coefficients,)
        Total wavenumber of each coefficient.
    """

    def __init__(self, degree: torch.Tensor) -> None:
        self._degree = degree
        self._total = torch.zeros((), dtype=torch.float64)
        self._count = 0

    def add(self, coefficients: torch.Tensor) -> None:
        """Add a batch of shape (batch, channels, coefficients)."""
        parts = (coefficients[..., self._degree == wave] for wave in range(int(self._degree.max()) + 1))
        parts = (part.double().transpose(0, 1).flatten(1) / part.shape[-1] ** 0.5 for part in parts)
        self._total = self._total + torch.stack([part @ part.T for part in parts]).cpu()
        self._count += len(coefficients)

    def estimate(self) -> torch.Tensor:
        """The covariance, (T + 1, channels, channels), float64.

        Raises
        ------
        ValueError
            If no batch was added.
        """
        if not self._count:
            raise ValueError("there are no samples to estimate a covariance from")
        return self._total / self._count


def per_wave(matrices: torch.Tensor, coefficients: torch.Tensor, harmonics: SphericalHarmonics) -> torch.Tensor:
    """Multiply every coefficient by the matrix of its total wavenumber.

    Parameters
    ----------
    matrices : (T + 1, outputs, inputs)
    coefficients : (..., inputs, (T + 1)^2)
    harmonics : SphericalHarmonics
        With truncation T.

    Returns
    -------
    (..., outputs, (T + 1)^2)
    """
    waves = harmonics.truncation + 1
    place = harmonics.place_by_wave
    table = coefficients.new_zeros(*coefficients.shape[:-1], waves * (2 * waves - 1)).index_copy(
        -1, place, coefficients
    )
    mixed = matrices @ table.unflatten(-1, (waves, -1)).transpose(-3, -2)
    return mixed.transpose(-3, -2).flatten(-2).index_select(-1, place)


def covariance_root(covariance: torch.Tensor, floor: float = 1e-6) -> torch.Tensor:
    """Symmetric square root of every matrix, (T + 1, channels, channels), by `eigh`.

    Eigenvalues below `floor` times the largest of their matrix are set to zero: the state's thirteen levels hold fewer
    independent ones, and the rest is rounding.
    """
    values, vectors = torch.linalg.eigh(covariance)
    values = torch.where(values > floor * values[..., -1:], values, 0.0)
    return vectors @ (values.clamp_min(0).sqrt().unsqueeze(-1) * vectors.mT)


class SpectralField:
    """Random fields with a homogeneous isotropic covariance.

    Parameters
    ----------
    root : tensor of shape (T + 1, channels, channels)
        Square root of the covariance per total wavenumber.
    harmonics : SphericalHarmonics
        With truncation T.

    Raises
    ------
    ValueError
        If root and truncation do not fit.
    """

    def __init__(self, root: torch.Tensor, harmonics: SphericalHarmonics) -> None:
        if root.shape[0] != harmonics.truncation + 1:
            raise ValueError(f"the root has {root.shape[0]} wavenumbers, which do not fit T{harmonics.truncation}")
        self.harmonics = harmonics
        self.channels = root.shape[1]
        self._root = root
        self._back = torch.argsort(torch.argsort(harmonics.degree, stable=True))
        self.control_size = self.channels * harmonics.size

    def __call__(self, control: torch.Tensor) -> torch.Tensor:
        """The field, (channels, lat, lon), of a control vector of length `control_size`."""
        coefficients = control.view(self.channels, -1).index_select(1, self._back)  # it is ordered by wavenumber
        return self.harmonics.synthesise(per_wave(self._root, coefficients, self.harmonics))


class GaussianBackgroundError(BackgroundError):
    """The static Gaussian background error of 3D-Var: a `SpectralField` times each channel's standard deviation.

    Parameters
    ----------
    field : SpectralField
        Of normalised errors.
    deviation : tensor of 69 values
        In the units of the state.
    """

    def __init__(self, field: SpectralField, deviation: torch.Tensor) -> None:
        self.field = field
        self.deviation = deviation.view(-1, 1, 1)
        self.control_size = field.control_size

    def increment(self, control: torch.Tensor) -> torch.Tensor:
        """Increment of shape (69, lat, lon), of a control vector of length `control_size`."""
        return self.deviation * self.field(control)
