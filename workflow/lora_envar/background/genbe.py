"""The static background error of 3D-Var, in the manner of GEN_BE: a control-variable transform fitted to NMC samples.

    psi     = E_psi s_psi^(1/2) v_1                      stream function, 10 m and thirteen levels
    Phi_b   = linear balance of psi                      del^-2 div(f grad psi)
    chi     = R_chi Phi_b  + E_chi s_chi^(1/2) v_2       velocity potential
    mass    = R_mass Phi_b + E_mass s_mass^(1/2) v_3     t2m, msl, z, t
    q       =                E_q s_q^(1/2) v_4           specific humidity

E are vertical modes: the eigenvectors of each variable's sampled vertical correlations, times standard deviations;
where a variable has a balanced part, they are those of the unbalanced part. s are the modes' sampled variances per
total wavenumber, R regression matrices per total wavenumber. Every number comes from the samples. The regression on
linearly balanced geopotential is that of Derber and Bouttier (1999): a regression on psi itself would have to change
sign between the hemispheres. Horizontal correlations are homogeneous, those of winds with mass are not, since f is not.
"""

from collections.abc import Iterable
from itertools import accumulate, pairwise
from pathlib import Path

import torch

from ..fields.grid import Grid
from ..fields.harmonics import LinearBalance, SphericalHarmonics, VectorHarmonics, finest_truncation
from ..fields.state import CONTROL_VARIABLES, LEVELS, channel_index
from ..files.weights import load_weights, save_weights
from .background_error import BackgroundError
from .spectral import SpectralCovariance, per_wave


def _channels(surface: Iterable[str], upper_air: Iterable[str]) -> list[int]:
    """Positions of surface variables in the state, then of upper-air variables on all levels."""
    names = [*surface, *(f"{variable}{level}" for variable in upper_air for level in LEVELS)]
    return [channel_index(name) for name in names]


U = _channels(["u10"], ["u"])
V = _channels(["v10"], ["v"])
MASS = _channels(["t2m", "msl"], ["z", "t"])
HUMIDITY = _channels([], ["q"])
#: control variables and how many fields each has; Phi_b only predicts
SIZES = dict(zip(CONTROL_VARIABLES, (len(U), len(U), len(MASS), len(HUMIDITY)), strict=True))
#: those of which a part is predicted from Phi_b
PREDICTED = ("chi", "mass")
#: eigenvalues below this share of the largest are rounding: the state's levels hold fewer independent ones
RANK_TOLERANCE = 1e-6


def consecutive(sizes: Iterable[int]) -> list[slice]:
    """Places of parts of these sizes that follow each other."""
    return [slice(*ends) for ends in pairwise(accumulate(sizes, initial=0))]


class ControlVariables:
    """Turns states into coefficients of psi, chi, mass and humidity, and back."""

    def __init__(self, harmonics: SphericalHarmonics) -> None:
        self.harmonics = harmonics
        self.winds = VectorHarmonics(harmonics)
        self.balance = LinearBalance(harmonics)

    def analyse(self, states: torch.Tensor) -> dict[str, torch.Tensor]:
        """Coefficients, each (batch, fields, (T + 1)^2), of states (batch, 69, lat, lon); with those of Phi_b."""
        psi, chi = self.winds.analyse(states[:, U], states[:, V])
        mass = self.harmonics.analyse(states[:, MASS])
        humidity = self.harmonics.analyse(states[:, HUMIDITY])
        return {"psi": psi, "chi": chi, "mass": mass, "humidity": humidity, "balanced": self.balance(psi)}

    def synthesise(
        self, psi: torch.Tensor, chi: torch.Tensor, mass: torch.Tensor, humidity: torch.Tensor
    ) -> torch.Tensor:
        """States, (..., 69, lat, lon), of coefficients, each (..., fields, (T + 1)^2)."""
        u, v = self.winds.synthesise(psi, chi)
        scalars = self.harmonics.synthesise(torch.cat([mass, humidity], dim=-2))
        fields = torch.cat([u, v, scalars], dim=-3)
        order = torch.as_tensor([*U, *V, *MASS, *HUMIDITY], device=fields.device).argsort()
        return fields[..., order, :, :]


def sample_moments(batches: Iterable[torch.Tensor], variables: ControlVariables) -> torch.Tensor:
    """Second moments of control variables and Phi_b, (T + 1, 83, 83), of errors in batches of (batch, 69, lat, lon)."""
    moments = SpectralCovariance(variables.harmonics.degree)
    for batch in batches:
        moments.add(torch.cat(list(variables.analyse(batch).values()), dim=1))
    return moments.estimate()


def regressions(moments: torch.Tensor) -> dict[str, torch.Tensor]:
    """R per wavenumber, (T + 1, fields, 14), of the predicted variables on Phi_b; none in directions without Phi_b."""
    blocks = _blocks(moments)
    scale = _deviation(moments, "balanced")
    inverse = torch.linalg.pinv(
        blocks["balanced", "balanced"] / torch.outer(scale, scale), rtol=RANK_TOLERANCE, hermitian=True
    ) / torch.outer(scale, scale)
    return {name: blocks[name, "balanced"] @ inverse for name in PREDICTED}


def vertical_modes(moments: torch.Tensor, balance: dict[str, torch.Tensor]) -> dict[str, dict[str, torch.Tensor]]:
    """Modes, (fields, modes), and their deviation per wavenumber, (T + 1, modes), of every control variable."""
    blocks = _blocks(moments)
    modes: dict[str, dict[str, torch.Tensor]] = {}
    waves = 2.0 * torch.arange(len(moments), dtype=moments.dtype) + 1.0
    for name in SIZES:
        covariance = blocks[name, name]
        if name in balance:
            explained = balance[name] @ blocks["balanced", name]
            covariance = (
                covariance
                - explained
                - explained.mT
                + balance[name] @ blocks["balanced", "balanced"] @ balance[name].mT
            )
        total = torch.einsum("l,lij->ij", waves, covariance)
        scale = total.diagonal().clamp_min(torch.finfo(total.dtype).tiny).sqrt()
        values, vectors = torch.linalg.eigh(total / torch.outer(scale, scale))
        vectors = vectors[:, values > RANK_TOLERANCE * values[-1]]
        unscaled = vectors / scale[:, None]
        spectrum = torch.einsum("im,lij,jm->lm", unscaled, covariance, unscaled)
        modes[name] = {"modes": vectors * scale[:, None], "deviation": spectrum.clamp_min(0.0).sqrt()}
    return modes


def _ranges() -> dict[str, slice]:
    """Where the fields of each control variable, and those of Phi_b, lie in the moments."""
    ranges: dict[str, slice] = {}
    first = 0
    for name, size in (*SIZES.items(), ("balanced", len(U))):
        ranges[name] = slice(first, first + size)
        first += size
    return ranges


def _blocks(moments: torch.Tensor) -> dict[tuple[str, str], torch.Tensor]:
    """Moments, (T + 1, fields, fields), of every pair of control variables, by their names."""
    ranges = _ranges()
    return {(a, b): moments[:, ranges[a], ranges[b]] for a in ranges for b in ranges}


def _deviation(moments: torch.Tensor, name: str) -> torch.Tensor:
    """Standard deviation, (fields,), of a control variable over all wavenumbers."""
    waves = 2.0 * torch.arange(len(moments), dtype=moments.dtype) + 1.0
    block = _ranges()[name]
    return torch.einsum("l,lii->i", waves, moments[:, block, block]).sqrt()


class GenBE(BackgroundError):
    """The error model, see the module.

    Parameters
    ----------
    balance : dict of tensors
        The result of `regressions`.
    modes : dict of dicts of tensors
        The result of `vertical_modes`.
    variables : ControlVariables
    truncation : int or None
        Of the increments; None keeps all.
    """

    def __init__(
        self,
        balance: dict[str, torch.Tensor],
        modes: dict[str, dict[str, torch.Tensor]],
        variables: ControlVariables,
        truncation: int | None = None,
    ) -> None:
        self.balance = balance
        self.modes = modes
        self.variables = variables
        self.truncation = truncation
        self._projection: SphericalHarmonics | None = None
        if truncation is not None:
            full = variables.harmonics
            self._projection = SphericalHarmonics(full.grid, truncation, full.dtype, full.degree.device)
        degree = variables.harmonics.degree
        self._deviation = {name: part["deviation"][degree].T for name, part in modes.items()}
        self._sizes = [deviation.numel() for deviation in self._deviation.values()]
        self.control_size = sum(self._sizes)

    def increment(self, control: torch.Tensor) -> torch.Tensor:
        """Increment of shape (69, lat, lon), of a control vector of length `control_size`."""
        parts: dict[str, torch.Tensor] = {}
        for (name, deviation), part in zip(self._deviation.items(), control.split(self._sizes), strict=True):
            parts[name] = self.modes[name]["modes"] @ (deviation * part.view_as(deviation))
        balanced = self.variables.balance(parts["psi"])
        for name, matrices in self.balance.items():
            parts[name] = parts[name] + per_wave(matrices, balanced, self.variables.harmonics)
        increment = self.variables.synthesise(**parts)
        return increment if self._projection is None else self._projection.project(increment)

    def parts(self) -> dict[str, slice]:
        """The control variables, because balanced errors do not grow like unbalanced ones."""
        return dict(zip(self._deviation, consecutive(self._sizes), strict=True))

    def to(self, like: torch.Tensor) -> "GenBE":
        """The same error model with the type and on the device of another tensor."""
        full = self.variables.harmonics
        variables = ControlVariables(SphericalHarmonics(full.grid, full.truncation, like.dtype, like.device))
        balance = {name: matrices.to(like) for name, matrices in self.balance.items()}
        modes = {name: {kind: part.to(like) for kind, part in parts.items()} for name, parts in self.modes.items()}
        return GenBE(balance, modes, variables, self.truncation)

    def save(self, path: str | Path) -> None:
        """Write the file that `load` reads."""
        tensors = {f"balance.{name}": matrices.float() for name, matrices in self.balance.items()}
        for name, part in self.modes.items():
            tensors |= {f"{name}.{kind}": tensor.float() for kind, tensor in part.items()}
        save_weights(path, tensors, {"kind": "genbe", "truncation": self.truncation})

    @classmethod
    def load(cls, path: str | Path, grid: Grid, device: torch.device | str = "cpu") -> "GenBE":
        """Load the error model of a file, on any grid that resolves its wavenumbers.

        Raises
        ------
        ValueError
            If the file cannot be read, or the grid does not resolve them.
        """
        tensors, settings = load_weights(path)
        tensors = {name: tensor.to(device) for name, tensor in tensors.items()}
        modes = {name: {kind: tensors[f"{name}.{kind}"] for kind in ("modes", "deviation")} for name in SIZES}
        balance = {name: tensors[f"balance.{name}"] for name in PREDICTED}
        waves = len(modes["psi"]["deviation"])
        variables = ControlVariables(SphericalHarmonics(grid, waves - 1, device=device))
        return cls(balance, modes, variables, settings["truncation"])


def fit_genbe(
    batches: Iterable[torch.Tensor],
    grid: Grid,
    truncation: int | None,
    balance: dict[str, torch.Tensor] | None = None,
) -> GenBE:
    """Fit GEN_BE to errors of zero expectation, in batches of (batch, 69, lat, lon), in the units of the state.

    Parameters
    ----------
    truncation : int or None
        Of the errors and the increments. The control variables keep two wavenumbers more where the grid resolves
        them: winds whose components are cut off at T need a stream function beyond T.
    balance : dict of tensors or None
        Regressions that replace those of the samples, where there are few.
    """
    finest = finest_truncation(grid)
    waves = finest if truncation is None else min(truncation + 2, finest)
    variables = ControlVariables(SphericalHarmonics(grid, waves, torch.float64))
    moments = sample_moments((batch.double() for batch in batches), variables)
    if balance is None:
        balance = regressions(moments)
    balance = {name: matrices.to(moments) for name, matrices in balance.items()}
    return GenBE(balance, vertical_modes(moments, balance), variables, truncation)
