"""Linear regridding from any regular global axes to a grid."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from .grid import Grid


@dataclass(frozen=True, eq=False)
class Axes:
    """Regular global axes that no `Grid` has, such as cells without a point at the pole or at 0 degrees eastward.

    Attributes
    ----------
    latitude, longitude : arrays
        Of shapes (latitudes,) and (longitudes,), in degrees, from the north and eastward from 0 on.
    """

    latitude: np.ndarray
    longitude: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """Number of latitudes and of longitudes."""
        return self.latitude.size, self.longitude.size

    @cached_property
    def latitude_edges(self) -> np.ndarray:
        """Sine of latitude at the cell edges, midway between the latitudes, from 1 down to -1."""
        middle = np.sin(np.radians((self.latitude[1:] + self.latitude[:-1]) / 2))
        return np.concatenate([[1.0], middle, [-1.0]])


class Regridder:
    """Linear regridding to a grid, periodic in longitude and safe at the poles.

    Both methods separate into one matrix per direction, so applying them is two matrix products, differentiable, and
    their adjoint is what autograd gives.

    Parameters
    ----------
    source : Grid or Axes
    target : Grid
    method : str
        ``bilinear``, or ``conservative`` (first order: area-weighted means over the overlap of cells, which keeps
        global means; the choice when the target is coarser). Beyond the last latitude of a grid without poles, bilinear
        takes the value of that latitude.

    Raises
    ------
    ValueError
        If the method is unknown.
    """

    def __init__(
        self,
        source: Grid | Axes,
        target: Grid,
        method: str,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        # the circle, once around and one point more on both sides
        around = np.concatenate([[source.longitude[-1] - 360.0], source.longitude, [source.longitude[0] + 360.0]])
        if method == "bilinear":
            latitude = linear_weights(-source.latitude, -target.latitude)
            weights = linear_weights(around, target.longitude)
            longitude = weights[:, 1:-1]
            longitude[:, -1] += weights[:, 0]
            longitude[:, 0] += weights[:, -1]
        elif method == "conservative":
            latitude = overlap_weights(-source.latitude_edges, -target.latitude_edges)
            source_edges = (around[1:] + around[:-1]) / 2
            target_edges = (np.arange(target.nlon + 1) - 0.5) * (360.0 / target.nlon)
            turned = [overlap_weights(source_edges + turn, target_edges) for turn in (-360.0, 0.0, 360.0)]
            longitude = sum(turned[1:], turned[0])
        else:
            raise ValueError(f"the regridding method {method!r} is unknown; known: bilinear, conservative")
        self.identity = source == target
        self._latitude = torch.as_tensor(latitude, dtype=dtype, device=device)
        self._longitude = torch.as_tensor(longitude, dtype=dtype, device=device).T.contiguous()

    def __call__(self, field: torch.Tensor) -> torch.Tensor:
        """Regrid fields of shape (..., source latitudes, source longitudes) to (..., target.nlat, target.nlon)."""
        return field if self.identity else self._latitude @ (field @ self._longitude)

    def at(self, points: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
        """Regridding to some points of the target alone, which costs as much as they are.

        Parameters
        ----------
        points : (points,)
            Flat indices.

        Returns
        -------
        function
            From fields of shape (..., source latitudes, source longitudes) to (..., points).
        """
        columns = self._longitude.shape[1]
        rows, row_weights = _nonzero(self._latitude[points // columns])
        others, other_weights = _nonzero(self._longitude.T[points % columns])
        index = (rows[:, None] * self._longitude.shape[0] + others).flatten(0, 1)
        weight = (row_weights[:, None] * other_weights).flatten(0, 1)

        def regrid(field: torch.Tensor) -> torch.Tensor:
            flat = field.flatten(-2)
            parts = (share * flat[..., where] for where, share in zip(index, weight, strict=True))
            return sum(parts, start=flat.new_zeros(()))

        return regrid


def _nonzero(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Columns and values of the non-zero entries in the rows of a matrix, each (most of a row, rows)."""
    most = max(1, int((matrix != 0).sum(1).max()))
    columns = matrix.abs().topk(most, dim=1).indices
    return columns.T, matrix.gather(1, columns).T


def regridder(
    source: Grid | Axes, target: Grid, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
) -> Regridder:
    """The suitable regridder: conservative to a coarser grid, bilinear to a finer one."""
    method = "conservative" if target.nlat < source.shape[0] else "bilinear"
    return Regridder(source, target, method, dtype, device)


def linear_weights(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Matrix (target, source) of linear interpolation between ascending coordinates, constant beyond the ends."""
    right = np.clip(np.searchsorted(source, target), 1, len(source) - 1)
    fraction = np.clip((target - source[right - 1]) / (source[right] - source[right - 1]), 0.0, 1.0)
    weights = np.zeros((len(target), len(source)))
    rows = np.arange(len(target))
    weights[rows, right - 1] = 1.0 - fraction
    weights[rows, right] += fraction
    return weights


def overlap_weights(source_edges: np.ndarray, target_edges: np.ndarray) -> np.ndarray:
    """Matrix (target, source): the share of each target cell that each source cell covers; edges ascend."""
    upper = np.minimum(target_edges[1:, None], source_edges[None, 1:])
    lower = np.maximum(target_edges[:-1, None], source_edges[None, :-1])
    return np.clip(upper - lower, 0.0, None) / np.diff(target_edges)[:, None]
