"""The background error of `3dvar_spectral`: homogeneous and isotropic, between all channels, from NMC samples."""

from pathlib import Path

import numpy as np
import torch

from ..fields.grid import Grid
from ..fields.harmonics import SphericalHarmonics, finest_truncation
from ..files.weights import load_weights, save_weights
from .spectral import GaussianBackgroundError, SpectralField, covariance_root, estimate_covariance
from .training_set import TrainingSet


def fit_gaussian(samples: TrainingSet, truncation: int | None) -> torch.Tensor:
    """Covariance of normalised errors per total wavenumber about the samples' mean, (T + 1, 69, 69)."""
    harmonics = SphericalHarmonics(samples.grid, truncation or finest_truncation(samples.grid), torch.float64)
    deviation = torch.from_numpy(samples.deviation).double().view(-1, 1, 1)
    return estimate_covariance((errors / deviation for errors in samples.centred()), harmonics)


def save_gaussian(path: str | Path, covariance: torch.Tensor, deviation: np.ndarray) -> None:
    """Write the file that `load_gaussian` reads.

    Parameters
    ----------
    path : path
    covariance : (T + 1, 69, 69)
        What `fit_gaussian` gives.
    deviation : (69,)
        Standard deviation of the errors per channel, in the units of the state.
    """
    tensors = {"root": covariance_root(covariance).float(), "deviation": torch.as_tensor(deviation)}
    save_weights(path, tensors, {"kind": "gaussian"})


def load_gaussian(path: str | Path, grid: Grid, device: torch.device | str = "cpu") -> GaussianBackgroundError:
    """Load the error model that `save_gaussian` wrote, on a grid that resolves its truncation."""
    tensors, _ = load_weights(path)
    harmonics = SphericalHarmonics(grid, tensors["root"].shape[0] - 1, device=device)
    return GaussianBackgroundError(
        SpectralField(tensors["root"].to(device), harmonics), tensors["deviation"].to(device)
    )
