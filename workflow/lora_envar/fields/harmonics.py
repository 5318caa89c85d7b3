"""Spherical-harmonic transforms of scalars and winds, and the linear balance, on coefficients."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import torch
from torch_harmonics import InverseRealSHT, InverseRealVectorSHT, RealSHT, RealVectorSHT

from .constants import EARTH_RADIUS, EARTH_ROTATION
from .grid import Grid

# sums of products of three arrays are taken from left to right: torch would take another order, which is rounded
# otherwise, wherever some other package has brought opt_einsum with it
torch.backends.opt_einsum.enabled = False

#: kind of grid -> the name that torch-harmonics has for its quadrature
_QUADRATURE = {"gaussian": "legendre-gauss", "equiangular": "equiangular"}


@dataclass(frozen=True)
class _Tables:
    """Matrices of a transform, for sums over latitude."""

    analysis: torch.Tensor
    synthesis: torch.Tensor


#: tables in use, so that those of a job's error models are made and held once
_in_use: WeakValueDictionary[tuple[Any, ...], _Tables] = WeakValueDictionary()


def _shared(make: Callable[[Grid, int], _Tables], grid: Grid, truncation: int, like: torch.Tensor) -> _Tables:
    """Tables that `make` gives, of the type and on the device of another tensor; those in use, if there are any."""
    key = make, grid, truncation, like.dtype, like.device
    tables = _in_use.get(key)
    if tables is None:
        made = make(grid, truncation)
        tables = _Tables(made.analysis.to(like), made.synthesis.to(like))
        _in_use[key] = tables
    return tables


def finest_truncation(grid: Grid) -> int:
    """The largest triangular truncation whose transform is exact on a grid."""
    exact = grid.nlat - 1 if grid.kind == "gaussian" else (grid.nlat - 1) // 2
    return min(exact, (grid.nlon - 1) // 2)


def _sizes(grid: Grid, truncation: int) -> dict[str, Any]:
    """Sizes of a transform as torch-harmonics takes them."""
    return {"lmax": truncation + 1, "mmax": truncation + 1, "grid": _QUADRATURE[grid.kind]}


def _scales(grid: Grid, truncation: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Factors of torch-harmonics' analysis and synthesis, (T + 1, 1, 1), that make the basis orthonormal.

    Its harmonics are orthonormal and complex: the integral of the square over the sphere is |a_l0|^2 + 2 sum_m>0
    |a_lm|^2.
    """
    both = torch.where(torch.arange(truncation + 1) == 0, 1.0, 2.0).double()[:, None, None]
    return (both / (4.0 * np.pi)).sqrt() * (2.0 * np.pi / grid.nlon), (both * 4.0 * np.pi).sqrt()


def _scalar_tables(grid: Grid, truncation: int) -> _Tables:
    """Analysis (T + 1, nlat, T + 1) and synthesis (T + 1, T + 1, nlat)."""
    sizes = _sizes(grid, truncation)
    scale, inverse_scale = _scales(grid, truncation)
    forward = RealSHT(*grid.shape, **sizes).weights
    return _Tables(scale * forward.mT, inverse_scale * InverseRealSHT(*grid.shape, **sizes).pct)


def _vector_tables(grid: Grid, truncation: int) -> _Tables:
    """Analysis (T + 1, 2 nlat, T + 1) and synthesis (T + 1, T + 1, 2 nlat) of one part of a wind."""
    sizes = _sizes(grid, truncation)
    scale, inverse_scale = _scales(grid, truncation)
    forward = torch.cat([*RealVectorSHT(*grid.shape, **sizes).weights.mT], 1)
    inverse = torch.cat([*InverseRealVectorSHT(*grid.shape, **sizes).dpct], 1)
    return _Tables(EARTH_RADIUS * scale * forward, inverse_scale / EARTH_RADIUS * inverse)


class SphericalHarmonics:
    """Real spherical-harmonic transform with triangular truncation, for fields of shape (..., nlat, nlon).

    Coefficients are the components along an orthonormal real basis, so that the area mean of a squared field is the
    sum of its squared coefficients: shape (..., (T + 1)^2), ordered by order m, then degree l, cosine before sine.
    Legendre functions and quadrature are torch-harmonics'. Both sums, over longitude and over latitude, are matrix
    products: at these truncations they and their adjoints are faster than an FFT.

    Parameters
    ----------
    grid : Grid
    truncation : int
        T, the largest total wavenumber kept.
    dtype : torch.dtype
    device : str or torch.device

    Raises
    ------
    ValueError
        If the grid cannot resolve the truncation.
    """

    def __init__(
        self,
        grid: Grid,
        truncation: int,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        resolved = finest_truncation(grid)
        if not 0 <= truncation <= resolved:
            raise ValueError(
                f"the {grid.kind} grid of {grid.nlat} x {grid.nlon} points resolves T{resolved}, but not T{truncation}"
            )
        self.grid = grid
        self.truncation = truncation
        self.dtype = dtype
        modes = truncation + 1
        orders = torch.arange(modes).double()
        angle = torch.outer(orders, torch.from_numpy(np.radians(grid.longitude)))
        self.fourier = torch.stack([angle.cos(), -angle.sin()], 1).flatten(0, 1).to(device, dtype)
        self._tables = _shared(_scalar_tables, grid, truncation, self.fourier)
        degree, order = np.tril_indices(modes)
        by_order = np.lexsort((degree, order))
        degree = degree[by_order]
        order = order[by_order]
        sine = np.repeat([0, 1], [len(degree), len(degree) - modes])  # of order 0 there is no sine
        degree = np.append(degree, degree[modes:])
        order = np.append(order, order[modes:])
        self._place = torch.as_tensor((2 * order + sine) * modes + degree, device=device)
        #: total wavenumber and order of each real coefficient, shape ((T + 1)^2,)
        self.degree = torch.as_tensor(degree, device=device)
        self.order = torch.as_tensor(order, device=device)
        #: place of each in a table of T + 1 rows, one per wavenumber, of 2 T + 1 columns
        self.place_by_wave = torch.as_tensor(degree * (2 * modes - 1) + order + sine * truncation, device=device)

    @property
    def size(self) -> int:
        """Number of real coefficients, (T + 1)^2."""
        return (self.truncation + 1) ** 2

    def analyse(self, field: torch.Tensor) -> torch.Tensor:
        """Coefficients, shape (..., (T + 1)^2), of fields of shape (..., nlat, nlon)."""
        return self.from_table(self.orders(field) @ self._tables.analysis, field.shape[:-2])

    def synthesise(self, coefficients: torch.Tensor) -> torch.Tensor:
        """Fields, shape (..., nlat, nlon), of coefficients of shape (..., (T + 1)^2)."""
        return self.fields(self.table(coefficients) @ self._tables.synthesis, coefficients.shape[:-1])

    def project(self, field: torch.Tensor) -> torch.Tensor:
        """Remove everything beyond the truncation; the shape stays the same."""
        return self.fields(self.orders(field) @ self._tables.analysis @ self._tables.synthesis, field.shape[:-2])

    def orders(self, field: torch.Tensor) -> torch.Tensor:
        """Sums over longitude, (T + 1, cosine and sine of all fields, nlat), of fields of shape (..., nlat, nlon)."""
        return (self.fourier @ field.flatten(0, -2).mT).view(self.truncation + 1, -1, self.grid.nlat)

    def fields(self, orders: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
        """Fields, (*shape, nlat, nlon), of which `orders` are the parts of each order."""
        return (orders.reshape(len(self.fourier), -1).mT @ self.fourier).view(*shape, *self.grid.shape)

    def table(self, coefficients: torch.Tensor) -> torch.Tensor:
        """Coefficients as a table (T + 1 orders, cosine and sine of all fields, T + 1 degrees) with zeros between."""
        modes = self.truncation + 1
        rows = 2 * modes
        flat = coefficients.reshape(-1, self.size)
        full = flat.new_zeros(len(flat), rows * modes).index_copy(1, self._place, flat)
        return full.view(-1, rows, modes).transpose(0, 1).reshape(modes, -1, modes)

    def from_table(self, table: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
        """The inverse of `table`, to (*shape, (T + 1)^2)."""
        modes = self.truncation + 1
        rows = 2 * modes
        full = table.view(rows, -1, modes).transpose(0, 1).reshape(-1, rows * modes)
        return full.index_select(1, self._place).view(*shape, self.size)

    def power(self, field: torch.Tensor) -> torch.Tensor:
        """Variance per total wavenumber, shape (..., T + 1); its sum is the area mean of the squared field."""
        square = self.analyse(field) ** 2
        spectrum = square.new_zeros((*square.shape[:-1], self.truncation + 1))
        return spectrum.index_add(-1, self.degree, square)


class VectorHarmonics:
    """Stream function and velocity potential of winds, and back, with torch-harmonics' vector harmonics.

    Coefficients are laid out as those of `SphericalHarmonics`; psi and chi are in m2 s-1 and have no mean.

    Parameters
    ----------
    harmonics : SphericalHarmonics
        Its grid, truncation, type and device.
    """

    def __init__(self, harmonics: SphericalHarmonics) -> None:
        self.harmonics = harmonics
        self._tables = _shared(_vector_tables, harmonics.grid, harmonics.truncation, harmonics.fourier)

    def analyse(self, u: torch.Tensor, v: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Coefficients of psi and chi, each (..., (T + 1)^2), of winds (..., nlat, nlon) in m s-1."""
        psi, chi = _turned(self.harmonics.orders(u), self.harmonics.orders(v))
        return (
            self.harmonics.from_table(psi @ self._tables.analysis, u.shape[:-2]),
            self.harmonics.from_table(chi @ self._tables.analysis, u.shape[:-2]),
        )

    def synthesise(self, psi: torch.Tensor, chi: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Winds, each (..., nlat, nlon) in m s-1, of coefficients (..., (T + 1)^2) of psi and chi."""
        u, v = _turned(self.harmonics.table(psi), self.harmonics.table(chi))
        return (
            self.harmonics.fields(u @ self._tables.synthesis, psi.shape[:-1]),
            self.harmonics.fields(v @ self._tables.synthesis, psi.shape[:-1]),
        )


def _turned(first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(a, i b) and (-b, i a) of tables a and b whose second dimension is real parts, then imaginary ones."""
    imaginary = [torch.cat([-im, re], 1) for re, im in (part.chunk(2, dim=1) for part in (first, second))]
    return torch.cat([first, imaginary[1]], -1), torch.cat([-second, imaginary[0]], -1)


class LinearBalance:
    """Geopotential in linear balance with a stream function, del^-2 div(f grad psi), on coefficients.

    Exact within the truncation: f is 2 Omega times the sine of latitude, which couples neighbouring wavenumbers.
    """

    def __init__(self, harmonics: SphericalHarmonics) -> None:
        degree = harmonics.degree
        place = harmonics.place_by_wave
        row = 2 * harmonics.truncation + 1
        coefficient = torch.zeros((harmonics.truncation + 2) * row, dtype=degree.dtype, device=degree.device)
        coefficient[place] = torch.arange(len(place), device=degree.device)
        has_below = degree > harmonics.order
        has_above = degree < harmonics.truncation
        below = torch.where(has_below, coefficient[(place - row).clamp_min(0)], 0)
        above = torch.where(has_above, coefficient[place + row], 0)
        square = degree.double() ** 2
        next_square = (degree.double() + 1) ** 2
        order_square = harmonics.order.double() ** 2
        lower = torch.where(has_below, (square - order_square) / (4 * square - 1), 0.0).sqrt()
        upper = torch.where(has_above, (next_square - order_square) / (4 * next_square - 1), 0.0).sqrt()
        self._below = below
        self._above = above
        self._lower = lower.to(harmonics.dtype)
        self._upper = upper.to(harmonics.dtype)
        self._laplacian = (-degree * (degree + 1)).to(harmonics.dtype)

    def _sine_of_latitude(self, coefficients: torch.Tensor) -> torch.Tensor:
        """Coefficients, within the truncation, of a field times the sine of latitude."""
        return self._lower * coefficients[..., self._below] + self._upper * coefficients[..., self._above]

    def __call__(self, psi: torch.Tensor) -> torch.Tensor:
        """Coefficients of geopotential, m2 s-2, shape as those of psi, m2 s-1."""
        laplacian = self._laplacian
        # 2 div(s grad psi) = del2(s psi) + s del2 psi - psi del2 s, and del2 s = -2 s / a^2 for s the sine of latitude
        twice = laplacian * self._sine_of_latitude(psi) + self._sine_of_latitude((laplacian + 2.0) * psi)
        return EARTH_ROTATION * torch.where(laplacian < 0, twice / laplacian.clamp_max(-1.0), 0.0)
