"""Latitude-longitude grids: coordinates and area weights.

Every grid runs from north to south and from 0 degrees eastward. A ``gaussian`` grid has its latitudes on the nodes of
Gauss-Legendre quadrature, an ``equiangular`` one has equal steps and includes both poles (as ERA5 at 0.25 degrees).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import torch

Field = TypeVar("Field", np.ndarray, torch.Tensor)

#: kinds of grid
KINDS = ("gaussian", "equiangular")


@dataclass(frozen=True)
class Grid:
    """A regular global grid.

    Attributes
    ----------
    kind : str
        ``gaussian`` or ``equiangular``.
    nlat, nlon : int
        Number of latitudes and longitudes.

    Raises
    ------
    ValueError
        If the kind is unknown.
    """

    kind: str
    nlat: int
    nlon: int

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"the kind of grid {self.kind!r} is unknown; known: {', '.join(KINDS)}")

    @classmethod
    def from_coordinates(cls, latitude: np.ndarray, longitude: np.ndarray) -> "Grid":
        """The grid with these coordinates (degrees, north to south, from 0 eastward).

        Raises
        ------
        ValueError
            If no kind of grid has these coordinates.
        """
        for kind in KINDS:
            grid = cls(kind, len(latitude), len(longitude))
            if np.allclose(grid.latitude, latitude, atol=0.02) and np.allclose(grid.longitude, longitude, atol=0.02):
                return grid
        raise ValueError(
            f"latitudes {latitude[0]:.2f} to {latitude[-1]:.2f} ({len(latitude)}) and longitudes {longitude[0]:.2f} to "
            f"{longitude[-1]:.2f} ({len(longitude)}) are neither a Gaussian grid nor an equiangular global grid with "
            "poles"
        )

    @classmethod
    def from_settings(cls, settings: dict[str, Any]) -> "Grid":
        """The grid of a section of the configuration."""
        return cls(settings["kind"], settings["latitudes"], settings["longitudes"])

    @property
    def shape(self) -> tuple[int, int]:
        """Number of latitudes and of longitudes."""
        return self.nlat, self.nlon

    @cached_property
    def latitude(self) -> np.ndarray:
        """Latitudes in degrees, shape (nlat,), north to south, float64."""
        if self.kind == "gaussian":
            return np.degrees(np.arcsin(np.polynomial.legendre.leggauss(self.nlat)[0][::-1]))
        return np.linspace(90.0, -90.0, self.nlat)

    @cached_property
    def longitude(self) -> np.ndarray:
        """Longitudes in degrees, shape (nlon,), from 0 eastward, float64."""
        return np.arange(self.nlon) * (360.0 / self.nlon)

    @cached_property
    def latitude_edges(self) -> np.ndarray:
        """Sine of latitude at the cell edges, shape (nlat + 1,), from 1 down to -1.

        On a Gaussian grid the cells have the quadrature weights as their areas; on an equiangular one the edges lie
        midway between the latitudes.
        """
        if self.kind == "gaussian":
            weights = np.polynomial.legendre.leggauss(self.nlat)[1]
            return np.concatenate([[1.0], 1.0 - np.cumsum(weights)[:-1], [-1.0]])
        middle = np.radians((self.latitude[1:] + self.latitude[:-1]) / 2)
        return np.concatenate([[1.0], np.sin(middle), [-1.0]])

    @cached_property
    def area_weights(self) -> np.ndarray:
        """Area of the cells of each latitude relative to the mean cell, shape (nlat,), mean 1."""
        area = -np.diff(self.latitude_edges)
        return area / area.mean()

    def mean(self, field: Field) -> Field:
        """Area-weighted mean over the last two dimensions of an array or tensor of shape (..., nlat, nlon)."""
        weights = self.area_weights[:, None]
        if isinstance(field, torch.Tensor):
            return (field * torch.as_tensor(weights, dtype=field.dtype, device=field.device)).mean((-2, -1))
        return (field * weights).mean((-2, -1))
