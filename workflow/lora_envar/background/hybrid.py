"""The hybrid background error: a static part and the ensemble of the day.

    dx = sqrt(alpha) Bs^(1/2) v_1 + sqrt(1 - alpha) Be^(1/2) v_2.

Be is a GEN_BE fitted to the ensemble (with the static regressions, for which the members are too few), or the ensemble
itself, localised (Lorenc 2003, the alpha control variable):

    Be^(1/2) v_2 = sum_k (L^(1/2) v_2k) o x'_k / sqrt(K - 1),

with L the product of a Gaussian of distance on the sphere and a Gaussian of the difference in log pressure.
"""

import math

import torch

from ..fields.constants import EARTH_RADIUS
from ..fields.grid import Grid
from ..fields.harmonics import SphericalHarmonics, finest_truncation
from ..fields.state import LEVEL_OF_CHANNEL, LEVELS
from .background_error import BackgroundError
from .genbe import GenBE, fit_genbe
from .settings import COVARIANCES, HybridSettings, LocalisedSettings

#: eigenvalues of the vertical localisation below this share of the largest are rounding
RANK_TOLERANCE = 1e-6


def horizontal_localisation(length: float, degree: torch.Tensor) -> torch.Tensor:
    """Square root of exp(-d^2 / 2 length^2) on the sphere as a factor per coefficient, of unit variance everywhere.

    Parameters
    ----------
    length : float
        In km, short against the Earth's radius.
    degree : ((T + 1)^2,)
        Total wavenumber of each coefficient.
    """
    wave = degree.double()
    variance = torch.exp(-0.5 * wave * (wave + 1) * (1e3 * length / EARTH_RADIUS) ** 2)
    return (variance / variance.sum()).sqrt()


def vertical_localisation(length: float) -> torch.Tensor:
    """The square root, (levels, modes), of the matrix exp(-(ln p_i / p_j)^2 / 2 length^2)."""
    log_pressure = torch.tensor(LEVELS, dtype=torch.float64).log()
    matrix = torch.exp(-0.5 * ((log_pressure[:, None] - log_pressure) / length) ** 2)
    values, vectors = torch.linalg.eigh(matrix)
    kept = values > RANK_TOLERANCE * values[-1]
    return vectors[:, kept] * values[kept].sqrt()


class LocalisedEnsemble(BackgroundError):
    """The background error Be of the localised ensemble.

    Parameters
    ----------
    members : (K, 69, lat, lon)
        On the error grid, in the units of the state; their mean is subtracted.
    grid : Grid
    truncation : int or None
        Of the increments; None keeps all.
    horizontal : float or None
        Length in km; None does not localise.
    vertical : float or None
        Length in ln p; None does not localise.
    amplitude : float
        Factor of the perturbations.
    """

    def __init__(
        self,
        members: torch.Tensor,
        grid: Grid,
        truncation: int | None,
        horizontal: float | None,
        vertical: float | None,
        amplitude: float = 1.0,
    ) -> None:
        count = len(members)
        dtype = members.dtype
        device = members.device
        self.perturbations = amplitude * (members - members.mean(0)) / math.sqrt(count - 1)
        self._vertical = torch.ones(len(LEVELS), 1, dtype=dtype, device=device)
        if vertical is not None:
            self._vertical = vertical_localisation(vertical).to(dtype).to(device)
        self._harmonics: SphericalHarmonics | None = None
        self._horizontal: torch.Tensor | None = None
        self._projection: SphericalHarmonics | None = None
        if truncation is not None:
            self._projection = SphericalHarmonics(grid, truncation, dtype, device)
        size = 1
        if horizontal is not None:
            self._harmonics = self._projection or SphericalHarmonics(grid, finest_truncation(grid), dtype, device)
            self._horizontal = horizontal_localisation(horizontal, self._harmonics.degree).to(dtype)
            size = self._harmonics.size
        self._shape = (count, self._vertical.shape[1], size)
        self.control_size = math.prod(self._shape)

    def increment(self, control: torch.Tensor) -> torch.Tensor:
        """Increment of shape (69, lat, lon), of a control vector of length `control_size`."""
        weights = self._vertical @ control.view(self._shape)
        if self._horizontal is None or self._harmonics is None:
            weights = weights.unsqueeze(-1)
        else:
            weights = self._harmonics.synthesise(self._horizontal * weights)
        increment = (weights[:, list(LEVEL_OF_CHANNEL)] * self.perturbations).sum(0)
        return increment if self._projection is None else self._projection.project(increment)


class Hybrid(BackgroundError):
    """The weighted sum of two error models.

    Parameters
    ----------
    alpha : float
        Share of the static variance, from 0 to 1.
    """

    def __init__(self, static: BackgroundError, ensemble: BackgroundError, alpha: float) -> None:
        self.static = static
        self.ensemble = ensemble
        self.alpha = alpha
        self.control_size = static.control_size + ensemble.control_size

    def increment(self, control: torch.Tensor) -> torch.Tensor:
        """The increment, (69, lat, lon), from the control vectors of both, one after the other."""
        static, ensemble = control.split([self.static.control_size, self.ensemble.control_size])
        return math.sqrt(self.alpha) * self.static.increment(static) + math.sqrt(
            1.0 - self.alpha
        ) * self.ensemble.increment(ensemble)

    def standard(self, control: torch.Tensor) -> torch.Tensor:
        """Those of both, one after the other."""
        static, ensemble = control.split([self.static.control_size, self.ensemble.control_size])
        return torch.cat([self.static.standard(static), self.ensemble.standard(ensemble)])

    def parts(self) -> dict[str, slice]:
        """The parts of the static error model, and the ensemble."""
        size = self.static.control_size
        static = {name: slice(*where.indices(size)) for name, where in self.static.parts().items()}
        return static | {"ensemble": slice(size, None)}


def hybrid(static: GenBE, members: torch.Tensor | None, settings: HybridSettings, grid: Grid) -> BackgroundError:
    """The hybrid of GEN_BE and the members; the static part alone while there are too few members.

    Parameters
    ----------
    members : (K, 69, lat, lon) or None
        Forecasts valid at the analysis time, on the error grid, in the units of the state.

    Raises
    ------
    ValueError
        If the covariance of the members that the settings name does not exist.
    """
    if settings.ensemble_covariance == "localised":
        return localised_hybrid(static, members, settings, grid, static.truncation)
    if settings.ensemble_covariance != "genbe":
        raise ValueError(
            f"methods.hybrid.ensemble_covariance: {settings.ensemble_covariance!r} is unknown; known: "
            f"{', '.join(COVARIANCES)}"
        )
    if members is None or len(members) < settings.minimum_members:
        return static
    count = len(members)
    scale = settings.ensemble_amplitude * math.sqrt(count / (count - 1))
    perturbations = scale * (members - members.mean(0))
    ensemble = fit_genbe([perturbations.cpu()], grid, static.truncation, static.balance).to(members)
    return Hybrid(static, ensemble, settings.alpha)


def localised_hybrid(
    static: BackgroundError,
    members: torch.Tensor | None,
    settings: LocalisedSettings,
    grid: Grid,
    truncation: int | None,
) -> BackgroundError:
    """The hybrid of any static error model and the localised members; the static one alone while these are too few.

    Parameters
    ----------
    members : (K, 69, lat, lon) or None
        As of `hybrid`.
    truncation : int or None
        Of the ensemble's increments; None keeps all.
    """
    if members is None or len(members) < settings.minimum_members:
        return static
    lengths = settings.horizontal_localisation, settings.vertical_localisation
    ensemble = LocalisedEnsemble(members, grid, truncation, *lengths, settings.ensemble_amplitude)
    return Hybrid(static, ensemble, settings.alpha)
