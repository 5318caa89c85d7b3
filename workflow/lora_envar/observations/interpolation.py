"""Interpolation of the state: bilinear in the horizontal, and linear in log pressure in the vertical.

Where the place of a datum is a height, the vertical coordinate is that of the state itself, see `heights`.
"""

from copy import copy

import numpy as np
import torch

from ..fields.grid import Grid
from ..fields.state import LEVELS, SURFACE, channel_index
from .table import Observations

#: weights below that are the single precision of the positions in a table
_NO_WEIGHT = 1e-6


def first_channel(variable: str) -> int:
    """The highest channel of a variable of the state, or its only one."""
    return channel_index(variable if variable in SURFACE else f"{variable}{LEVELS[0]}")


class Interpolation:
    """Weighted sums of at most eight points of the state, one per datum.

    At a grid point and on a level of the state, it is that point alone, at the cost of one gather.

    Parameters
    ----------
    table : Observations
        Has the places: latitude, longitude and pressure.
    first : (rows,) array of int
        Channel to interpolate: that of a surface variable, or the highest of an upper-air variable.
    upper_air : (rows,) array of bool
        Whether the variable has levels.
    grid : Grid
        Of the states.
    """

    def __init__(
        self,
        table: Observations,
        first: np.ndarray,
        upper_air: np.ndarray,
        grid: Grid,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
    ) -> None:
        rows, columns, shares = horizontal_weights(grid, table.latitude, table.longitude)
        pressure = np.where(upper_air, table.pressure, LEVELS[0]).astype(float)
        above, share_below = bracket(np.log(LEVELS), np.log(pressure))
        channel = first + np.where(upper_air, above, 0)
        level_share = np.where(upper_air, share_below, 0.0)
        indices = []
        weights = []
        for below in (0, 1):
            vertical = level_share if below else 1.0 - level_share
            for row, column, share in zip(rows, columns, shares, strict=True):
                indices.append((channel + below) * (grid.nlat * grid.nlon) + row * grid.nlon + column)
                weights.append(vertical * share)
        index, weight = _largest_first(np.stack(indices), np.stack(weights))
        self._size = grid.nlat * grid.nlon
        self._index = torch.as_tensor(index, device=device)
        self._weight = torch.as_tensor(weight, dtype=dtype, device=device)

    def points(self) -> torch.Tensor:
        """Flat indices of the points of the grid that are read, with repetitions."""
        return (self._index % self._size).flatten()

    def on_points(self, place: torch.Tensor, size: int) -> "Interpolation":
        """The same of states that have some points of the grid alone, see `ObservationOperator.on_points`."""
        other = copy(self)
        other._index = self._index // self._size * size + place[self._index % self._size]
        other._size = size
        return other

    def __call__(self, state: torch.Tensor) -> torch.Tensor:
        """The values, (rows,), of a state, (69, lat, lon)."""
        flat = state.reshape(-1)
        values = self._weight[0] * flat[self._index[0]]
        for index, weight in zip(self._index[1:], self._weight[1:], strict=True):
            values = values + weight * flat[index]
        return values


def points_around(grid: Grid, latitude: np.ndarray, longitude: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Flat indices of the grid points around each position, and their weights, (points, positions) each.

    There are as many points, at most four, as any position needs.
    """
    rows, columns, shares = horizontal_weights(grid, latitude, longitude)
    return _largest_first(np.stack(rows) * grid.nlon + np.stack(columns), np.stack(shares))


def _largest_first(index: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points, (points, rows), in descending order of their weights, as many as any row needs; weights add up to 1."""
    weight[np.abs(weight) < _NO_WEIGHT] = 0.0
    index[weight == 0.0] = 0  # may point beyond the grid
    order = np.argsort(-weight, axis=0, kind="stable")
    weight = np.take_along_axis(weight, order, 0)
    index = np.take_along_axis(index, order, 0)
    needed = max(1, int((weight != 0).any(axis=1).sum()))  # 1: there may be no rows
    return index[:needed], (weight / weight.sum(axis=0))[:needed]


def horizontal_weights(
    grid: Grid, latitude: np.ndarray, longitude: np.ndarray
) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """The four points around each position, and their bilinear weights; periodic, constant beyond the last latitude.

    Returns
    -------
    rows, columns, weights : three lists of four arrays, each (positions,)
    """
    north, row_share = bracket(-grid.latitude, -np.asarray(latitude, dtype=float))
    turn = (np.asarray(longitude, dtype=float) % 360.0) * grid.nlon / 360.0
    west = np.floor(turn + 1e-6).astype(int)
    column_share = np.clip(turn - west, 0.0, 1.0)
    rows = []
    columns = []
    weights = []
    for south in (0, 1):
        for east in (0, 1):
            rows.append(north + south)
            columns.append((west + east) % grid.nlon)
            weights.append((row_share if south else 1.0 - row_share) * (column_share if east else 1.0 - column_share))
    return rows, columns, weights


def bracket(axis: np.ndarray, position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index of the last coordinate not above each position, and the share of the next one; constant beyond the ends."""
    first = np.clip(np.searchsorted(axis, position + 1e-6, side="right") - 1, 0, len(axis) - 2)
    return first, np.clip((position - axis[first]) / (axis[first + 1] - axis[first]), 0.0, 1.0)
