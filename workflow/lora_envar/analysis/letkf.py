"""The local ensemble transform Kalman filter (Hunt, Kostelich and Szunyogh 2007, Physica D 230, 112-126).

At every point and level of the error grid, with the perturbations X of K backgrounds about their mean x_b, and the
products of `local_products`,

    P = [(K - 1) / rho^2 I + Y' R^-1 Y]^-1,    w = P Y' R^-1 d,    W = [(K - 1) P]^(1/2),

rho the inflation, the analysis is x_b + X w, and its perturbations are X W. The weights w and W vary slowly: they are
interpolated to the grid of states where that is another one (Yang et al. 2009, QJRMS 135, 251-262), so that scales
that the error grid does not hold are analysed too. The perturbations are then relaxed to the prior spread (Whitaker
and Hamill 2012, MWR 140, 3078-3089, eq. 2), in every channel and at every point,

    x' <- x' [1 + alpha (s_b - s_a) / s_a],

s_b and s_a being the standard deviations of backgrounds and analyses; and increments are cut off at the truncation of
the states.
"""

from dataclasses import replace

import numpy as np
import torch

from ..background.settings import LETKFSettings
from ..fields.grid import Grid
from ..fields.harmonics import SphericalHarmonics
from ..fields.regridding import regridder
from ..fields.state import LEVEL_OF_CHANNEL
from .assimilate import AnalysedEnsemble, Analysis, Case, Comparison, compare
from .local_products import LocalProducts

#: points of the error grid that are analysed at once
POINTS = 512


def filter_ensemble(
    case: Case, members: torch.Tensor, settings: LETKFSettings, truncation: int | None = None
) -> Analysis:
    """Compute the analyses of all members and their mean; without observations, these are the backgrounds.

    Observations are checked against the background of the case, which is the mean of the members. H is applied to
    every member, and need not be linear.

    Parameters
    ----------
    case : Case
        Without a window.
    members : (K, 69, lat, lon)
        On the grid of states.
    settings : LETKFSettings
    truncation : int or None
        Of the states, at which increments are cut off; None keeps all.

    Raises
    ------
    ValueError
        If there are fewer than two members, if their shape is not that of the background, or if there is a window.
    """
    if case.window is not None:
        raise ValueError("the letkf takes all observations at the analysis time; it cannot be used with a window")
    if len(members) < 2 or members.shape[1:] != case.background.shape:
        raise ValueError(
            f"the letkf needs at least 2 members of the shape {case.background.shape}, got {tuple(members.shape)}"
        )
    compared = compare(case)
    if not len(compared.usable):
        ensemble = AnalysedEnsemble(members.cpu().numpy(), float("nan"))
        return compared.conclude(compared.background, ensemble=ensemble)
    with torch.no_grad():
        mean = members.mean(0)
        perturbations = members - mean
        observed = torch.stack([compared.observe(member) for member in members])
        used = torch.as_tensor(np.flatnonzero(compared.used), device=members.device)
        equivalents = observed[:, used]
        consistency = _consistency(compared, equivalents)
        products = LocalProducts(
            compared.usable,
            equivalents,
            compared.values,
            compared.errors,
            case.error_grid,
            settings.horizontal_localisation,
            settings.vertical_localisation,
        )
        increment, analysed = transformed(perturbations, products, case.error_grid, case.grid, settings.inflation)
        signal = _signal(compared, mean + increment + analysed)
        analysed = relaxed(analysed, perturbations, settings.relaxation)
        if truncation is not None:
            harmonics = SphericalHarmonics(case.grid, truncation, members.dtype, case.device)
            increment = harmonics.project(increment)
            analysed = perturbations + harmonics.project(analysed - perturbations)
        analysed = analysed - analysed.mean(0)  # zero but for rounding
        state = mean + increment
    case.progress(
        f"{len(members)} members, {len(compared.usable)} observations; squared departures are {consistency:.3f} times "
        "what spread and errors predict"
    )
    ensemble = AnalysedEnsemble((state + analysed).cpu().numpy(), consistency)
    concluded = compared.conclude(state, increment, ensemble=ensemble, background_error=observed.std(0))
    return replace(concluded, signal=signal)


def weights(products: torch.Tensor, inflation: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The weights of the background's perturbations in the analysis and in its perturbations, see the module.

    Parameters
    ----------
    products : (..., K, K + 1)
        Y' R^-1 [Y, d].
    inflation : float
        rho.

    Returns
    -------
    mean : (..., K)
        w.
    perturbations : (..., K, K)
        W, symmetric; the k-th column makes the k-th member.
    """
    count = products.shape[-2]
    values, vectors = torch.linalg.eigh(products[..., :-1])
    precision = (count - 1) / inflation**2 + values.clamp(min=0.0)
    mean = vectors @ ((vectors.mT @ products[..., -1:]) / precision[..., None])
    root = ((count - 1) / precision).sqrt()
    return mean.squeeze(-1), (vectors * root[..., None, :]) @ vectors.mT


def transformed(
    perturbations: torch.Tensor, products: LocalProducts, error_grid: Grid, grid: Grid, inflation: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """The increment of the mean, (69, lat, lon), and the perturbations of the analyses, (K, 69, lat, lon).

    Parameters
    ----------
    perturbations : (K, 69, lat, lon)
        Of the backgrounds, on `grid`.
    products : LocalProducts
        At the points of `error_grid`.
    inflation : float
    """
    count = len(perturbations)
    size = error_grid.nlat * error_grid.nlon
    to_grid = regridder(error_grid, grid, perturbations.dtype, perturbations.device)
    level_of = np.array(LEVEL_OF_CHANNEL if products.levels > 1 else (0,) * len(LEVEL_OF_CHANNEL))
    result = torch.zeros_like(torch.cat([perturbations, perturbations[:1]]))
    for level in range(products.levels):
        of_places = products.of_places(level)
        both = perturbations.new_empty(count + 1, count, size)
        for first in range(0, size, POINTS):
            points = slice(first, min(first + POINTS, size))
            mean, roots = weights(products.of_points(of_places, points), inflation)
            both[:, :, points] = torch.cat([roots, mean[..., None]], dim=-1).permute(2, 1, 0)
        channels = torch.as_tensor(np.flatnonzero(level_of == level), device=perturbations.device)
        chosen = perturbations[:, channels]
        for target, weight in enumerate(both.unflatten(2, error_grid.shape)):
            result[target, channels] = (to_grid(weight)[:, None] * chosen).sum(0)
    return result[-1], result[:-1]


def relaxed(analysed: torch.Tensor, backgrounds: torch.Tensor, relaxation: float) -> torch.Tensor:
    """Perturbations of analyses with their spread relaxed to that of the backgrounds, both (K, 69, lat, lon)."""
    before = backgrounds.square().sum(0).sqrt()
    after = analysed.square().sum(0).sqrt()
    factor = 1.0 + relaxation * (before - after) / after
    return analysed * torch.where(after > 0.0, factor, 1.0)


def _signal(compared: Comparison, analyses: torch.Tensor) -> float:
    """Degrees of freedom for signal, tr(R^-1 H P_a H'), of the analyses of all members before they are relaxed."""
    spread = torch.stack([compared.operator(member) for member in analyses]).var(0)
    return (spread / compared.errors**2).sum().item()


def _consistency(compared: Comparison, equivalents: torch.Tensor) -> float:
    """Mean square departure over the sum of variances of members and errors, all in errors of observations."""
    departure = (compared.values - equivalents.mean(0)) / compared.errors
    expected = equivalents.var(0) / compared.errors**2 + 1.0
    return (departure.square().mean() / expected.mean()).item()
