"""The variables in which a VAE sees forecast errors e, and the way back from the decoded variables.

    e = G T^-1 S f

T is the identity, as published, or the analysis into the control variables of `genbe`, each as fields on the grid:
rotational wind, the unbalanced parts of divergent wind and mass, and humidity,

    T e = (|grad| psi, |grad| (chi - R_chi Phi_b), mass - R_mass Phi_b, q),   Phi_b = linear balance of psi,

with |grad| = (-del^2)^(1/2), so that a field's variance at a place is about that of the wind there. S is the standard
deviation of T e: one number per channel, as published, or one per channel and place. G is one; or, for control
variables with a local S, the standard deviation of errors at every place over the one that they have by a homogeneous
covariance of f: near one, but in the tropics, where zonal wind errs more than meridional wind.

A covariance that is homogeneous and isotropic in f is neither in e: errors have the sampled variance where they are,
and winds are in balance with mass in both hemispheres. No homogeneous covariance of the state's variables holds that,
as the balance changes its sign with the Coriolis parameter. Networks are left to learn what is not of second order.
"""

from collections.abc import Callable, Iterator
from typing import TypeAlias

import torch
from torch import nn

from ..fields.constants import EARTH_RADIUS
from ..fields.grid import Grid
from ..fields.harmonics import SphericalHarmonics, finest_truncation
from ..fields.seeds import generator
from ..fields.state import CHANNELS
from .genbe import PREDICTED, SIZES, ControlVariables, consecutive, regressions, sample_moments
from .spectral import SpectralField, covariance_root, estimate_covariance, per_wave

#: the configuration's `variables` and `standard_deviation` of a VAE
VARIABLES = ("state", "control")
STANDARD_DEVIATIONS = ("channel", "local")
#: wavenumber at which maps of variance are smoothed to exp(-1)
SMOOTHED_AT = 10
#: samples of the homogeneous covariance by which G is found
DRAWS = 400
#: gives errors in batches of (batch, channels, lat, lon), in the units of the state, of zero expectation
Batches: TypeAlias = Callable[[], Iterator[torch.Tensor]]


class ErrorVariables(nn.Module):
    """Turns errors into f and back, see the module; before `fit`, S and G are 1 and nothing is balanced.

    Parameters
    ----------
    grid : Grid
        The error grid.
    truncation : int or None
        Of the errors; None keeps all.
    variables : str
        ``state`` or ``control``.
    standard_deviation : str
        ``channel`` or ``local``.
    device : str or torch.device
    channels : int
        Of the errors; control variables are those of the state's 69.

    Attributes
    ----------
    scale : (channels, 1, 1)
        S averaged over the sphere (its root mean square), in the variables' units.
    relative : (channels, 1, 1) or (channels, lat, lon)
        S over this average.
    gain : (channels, 1, 1) or (channels, lat, lon)
        G.
    gradient, from_gradient : ((waves + 1)^2,)
        |grad| of coefficients in m-1, and its inverse, zero for the mean; of control variables alone.
    waves : int or None
        Wavenumber beyond which f is cut off. Winds whose components are cut off at T need a stream function beyond T.
    """

    scale: torch.Tensor
    relative: torch.Tensor
    gain: torch.Tensor
    gradient: torch.Tensor
    from_gradient: torch.Tensor

    def __init__(
        self,
        grid: Grid,
        truncation: int | None,
        variables: str = "state",
        standard_deviation: str = "channel",
        device: torch.device | str = "cpu",
        channels: int = len(CHANNELS),
    ) -> None:
        super().__init__()
        self.grid = grid
        self.truncation = truncation
        self.variables = variables
        self.standard_deviation = standard_deviation
        local = standard_deviation == "local"
        self.register_buffer("scale", torch.ones(channels, 1, 1))
        self.register_buffer("relative", torch.ones(channels, *(grid.shape if local else (1, 1))))
        self.waves = truncation
        self._projection = None if truncation is None else SphericalHarmonics(grid, truncation, device=device)
        self._control: ControlVariables | None = None
        if variables == "control":
            finest = finest_truncation(grid)
            self.waves = finest if truncation is None else min(truncation + 2, finest)
            self._control = ControlVariables(SphericalHarmonics(grid, self.waves, device=device))
            gradient = _gradient(self._control.harmonics.degree)
            self.register_buffer("gradient", gradient.float(), persistent=False)
            self.register_buffer(
                "from_gradient", torch.where(gradient > 0, 1 / gradient, 0.0).float(), persistent=False
            )
            for name in PREDICTED:
                self.register_buffer(f"balance_{name}", torch.zeros(self.waves + 1, SIZES[name], SIZES["psi"]))
        self.fits_gain = local and self._control is not None
        self.register_buffer("gain", torch.ones(channels, *(grid.shape if self.fits_gain else (1, 1))))
        self.to(device)

    @property
    def deviation(self) -> torch.Tensor:
        """S, (channels, 1, 1) or (channels, lat, lon)."""
        return self.scale * self.relative

    def blocks(self) -> dict[str, slice]:
        """The channels of f by control variable; the variables of the state are a single block."""
        if self._control is None:
            return {"state": slice(0, len(self.scale))}
        return dict(zip(SIZES, consecutive(SIZES.values()), strict=True))

    def normalise(self, errors: torch.Tensor) -> torch.Tensor:
        """Turn errors in the units of the state, (batch, channels, lat, lon), into f of the same shape."""
        return self._analysed(errors) / self.deviation

    def restore(self, fields: torch.Tensor) -> torch.Tensor:
        """Turn f into errors in the units of the state, both (..., channels, lat, lon)."""
        scaled = self.deviation * fields
        if self._control is not None:
            scaled = self.gain * self._synthesised(scaled, self._control)
        elif self.standard_deviation == "channel":
            return scaled  # what is cut off stays so
        return scaled if self._projection is None else self._projection.project(scaled)

    def fit(self, batches: Batches) -> None:
        """Estimate the balance, S and G from errors; `batches` is called up to six times."""
        self._fit_balance_and_deviation(batches)
        if not self.fits_gain:
            return
        errors = _variance(batches())
        samples = _variance(self._drawn(batches))
        self.gain.copy_((smoothed(errors, self.grid) / smoothed(samples, self.grid)).sqrt())
        self._fit_balance_and_deviation(batches)

    def _fit_balance_and_deviation(self, batches: Batches) -> None:
        """R and S of errors over G."""
        if self._control is not None:
            exact = ControlVariables(SphericalHarmonics(self.grid, self._control.harmonics.truncation, torch.float64))
            moments = sample_moments(((batch / self.gain).cpu().double() for batch in batches()), exact)
            for name, matrices in regressions(moments).items():
                if name == "chi":
                    matrices = _gradient(torch.arange(len(matrices))).view(-1, 1, 1) * matrices
                getattr(self, f"balance_{name}").copy_(matrices)
        variance = _variance(self._analysed(batch) for batch in batches())
        mean = self.grid.mean(variance)[:, None, None]
        self.scale.copy_(mean.sqrt())
        if self.standard_deviation == "local":
            self.relative.copy_(smoothed(variance / mean, self.grid).sqrt())

    def _drawn(self, batches: Batches) -> Iterator[torch.Tensor]:
        """Samples of the homogeneous covariance of f as errors, without G, in batches of one."""
        harmonics = SphericalHarmonics(self.grid, self.waves or finest_truncation(self.grid), device=self.scale.device)
        covariance = estimate_covariance((self.normalise(batch) for batch in batches()), harmonics)
        field = SpectralField(covariance_root(covariance).to(self.scale), harmonics)
        draws = generator(0, "gain")
        for _ in range(DRAWS):
            yield self.restore(field(torch.randn(field.control_size, generator=draws).to(self.scale)))[None]

    def _analysed(self, errors: torch.Tensor) -> torch.Tensor:
        """T e / G."""
        if self._control is None:
            return errors
        parts = self._control.analyse(errors / self.gain)
        balanced = parts.pop("balanced")
        parts |= {name: self.gradient * parts[name] for name in ("psi", "chi")}
        for name in PREDICTED:
            parts[name] = parts[name] - self._balanced(name, balanced, self._control)
        return self._control.harmonics.synthesise(torch.cat([parts[name] for name in SIZES], dim=-2))

    def _synthesised(self, fields: torch.Tensor, control: ControlVariables) -> torch.Tensor:
        """T^-1 of fields."""
        coefficients = control.harmonics.analyse(fields).split([*SIZES.values()], dim=-2)
        parts = dict(zip(SIZES, coefficients, strict=True))
        balanced = control.balance(self.from_gradient * parts["psi"])
        for name in PREDICTED:
            parts[name] = parts[name] + self._balanced(name, balanced, control)
        parts |= {name: self.from_gradient * parts[name] for name in ("psi", "chi")}
        return control.synthesise(**parts)

    def _balanced(self, name: str, balanced: torch.Tensor, control: ControlVariables) -> torch.Tensor:
        """The part of a control variable, or of the gradient of chi, that Phi_b predicts."""
        return per_wave(getattr(self, f"balance_{name}"), balanced, control.harmonics)


def smoothed(variance: torch.Tensor, grid: Grid) -> torch.Tensor:
    """Smooth maps of variance, (..., lat, lon), with the heat kernel exp(-l (l + 1) / (L (L + 1))), L = `SMOOTHED_AT`.

    The kernel is positive and keeps the mean over the sphere, up to the truncation of the grid.
    """
    harmonics = SphericalHarmonics(grid, finest_truncation(grid), torch.float64)
    degree = harmonics.degree.double()
    kernel = (-degree * (degree + 1) / (SMOOTHED_AT * (SMOOTHED_AT + 1))).exp()
    smooth = harmonics.synthesise(harmonics.analyse(variance.double()) * kernel)
    lowest = 1e-3 * grid.mean(variance)[..., None, None]
    return torch.maximum(smooth, lowest)


def _gradient(degree: torch.Tensor) -> torch.Tensor:
    """Size of the gradient of harmonics of these total wavenumbers, in m-1."""
    return (degree * (degree + 1)).double().sqrt() / EARTH_RADIUS


def _variance(batches: Iterator[torch.Tensor]) -> torch.Tensor:
    """Mean square at every place, (channels, lat, lon), float64, of batches of (batch, channels, lat, lon)."""
    total = torch.zeros((), dtype=torch.float64)
    count = 0
    for batch in batches:
        total = total + (batch.double() ** 2).sum(0).cpu()
        count += len(batch)
    return total / count
