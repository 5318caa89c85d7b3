"""The observation operator: bilinear in the horizontal, linear in log pressure, differentiable.

A row of H is a weighted sum of at most eight points of the state. On a grid point and a level of the state it is that
point alone, and then costs one gather.
"""

import numpy as np
import torch

from ..fields.grid import Grid
from ..fields.state import CHANNELS, LEVELS, SURFACE, VARIABLES, channel_index
from .table import Observations


def outside_of_levels(table: Observations) -> np.ndarray:
    """Which rows lie above the highest or below the lowest level of the state, where H is not defined."""
    upper_air = table.variable >= len(SURFACE)
    with np.errstate(invalid="ignore"):
        inside = (table.pressure >= LEVELS[0]) & (table.pressure <= LEVELS[-1])
    return upper_air & ~inside


class ObservationOperator:
    """H for the rows of a table, all inside the levels of the state.

    Parameters
    ----------
    table : Observations
    grid : Grid
        Of the states to be observed.
    """

    def __init__(self, table: Observations, grid: Grid, dtype=torch.float32, device="cpu"):
        if outside_of_levels(table).any():
            raise ValueError("the observation operator was given rows outside of the levels of the state")
        rows, columns, shares = horizontal_weights(grid, table.latitude, table.longitude)
        channel, level_share = self._levels(table)
        indices, weights = [], []
        for below in (0, 1):
            vertical = level_share if below else 1.0 - level_share
            for row, column, share in zip(rows, columns, shares, strict=True):
                indices.append((channel + below) * (grid.nlat * grid.nlon) + row * grid.nlon + column)
                weights.append(vertical * share)
        index, weight = np.stack(indices), np.stack(weights)
        weight[np.abs(weight) < 1e-6] = 0.0  # single precision of the positions in the table
        index[weight == 0.0] = 0  # may point beyond the grid
        order = np.argsort(-weight, axis=0, kind="stable")
        weight, index = np.take_along_axis(weight, order, 0), np.take_along_axis(index, order, 0)
        needed = max(1, int((weight != 0).any(axis=1).sum()))  # 1: there may be no rows
        self._index = torch.as_tensor(index[:needed], device=device)
        self._weight = torch.as_tensor((weight / weight.sum(axis=0))[:needed], dtype=dtype, device=device)

    @staticmethod
    def _levels(table):
        """Channel above each row, and the share of the channel below it."""
        names = list(VARIABLES)
        first = np.array([channel_index(n if n in SURFACE else f"{n}{LEVELS[0]}") for n in names])[table.variable]
        upper_air = table.variable >= len(SURFACE)
        pressure = np.where(upper_air, table.pressure, LEVELS[0]).astype(float)
        above, share = _bracket(np.log(LEVELS), np.log(pressure))
        return first + np.where(upper_air, above, 0), np.where(upper_air, share, 0.0)

    def __call__(self, state: torch.Tensor) -> torch.Tensor:
        """Equivalents, shape (rows,), of a state of shape (69, lat, lon)."""
        if state.shape[0] != len(CHANNELS):
            raise ValueError(f"expected a state of {len(CHANNELS)} channels, got shape {tuple(state.shape)}")
        flat = state.reshape(-1)
        equivalents = self._weight[0] * flat[self._index[0]]
        for index, weight in zip(self._index[1:], self._weight[1:], strict=True):
            equivalents = equivalents + weight * flat[index]
        return equivalents


def horizontal_weights(grid: Grid, latitude: np.ndarray, longitude: np.ndarray):
    """The four points around each position, and their bilinear weights; periodic, constant beyond the last latitude.

    Returns
    -------
    rows, columns, weights : three lists of four arrays, each (positions,)
    """
    north, row_share = _bracket(-grid.latitude, -np.asarray(latitude, dtype=float))
    turn = (np.asarray(longitude, dtype=float) % 360.0) * grid.nlon / 360.0
    west = np.floor(turn + 1e-6).astype(int)
    column_share = np.clip(turn - west, 0.0, 1.0)
    rows, columns, weights = [], [], []
    for south in (0, 1):
        for east in (0, 1):
            rows.append(north + south)
            columns.append((west + east) % grid.nlon)
            weights.append((row_share if south else 1.0 - row_share) * (column_share if east else 1.0 - column_share))
    return rows, columns, weights


def _bracket(axis: np.ndarray, position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index of the last coordinate not above each position, and the share of the next one; constant beyond the ends."""
    first = np.clip(np.searchsorted(axis, position + 1e-6, side="right") - 1, 0, len(axis) - 2)
    return first, np.clip((position - axis[first]) / (axis[first + 1] - axis[first]), 0.0, 1.0)
