"""Places of data whose types follow from several variables, and the values of the state there.

    inputs_i = x_i(place),    H(x) = h(inputs_1, ..., inputs_n; p)

A place is given by pressure, or by geopotential height. A height Z is found in the state's own geopotential z, that of
the column between the grid points: between the levels l and l + 1 with z_l >= g Z >= z_(l+1), at the share

    s = (z_l - g Z) / (z_l - z_(l+1))

of the lower one, ln p and all upper-air variables being linear in z between levels. That is the place of the pressure
p, with the same values: between levels z is linear in ln p, and so are all others.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from ..fields.constants import GRAVITY
from ..fields.grid import Grid
from ..fields.state import LEVELS, SURFACE
from .interpolation import Interpolation, first_channel, points_around
from .table import Observations

#: a height may lie beyond the column by so much and count as its end: heights are not known better
HEIGHT_TOLERANCE = 1.0  # m
#: least difference of geopotential between levels, m2 s-2: columns of the atmosphere are far from it, and those that a
#: minimisation tries must not divide by zero
_LEAST_DEPTH = 1.0


@dataclass(frozen=True)
class Found:
    """Places found in a state.

    Attributes
    ----------
    pressure : (rows,)
        In hPa, not a number at the surface.
    above : (rows,) of int, or None
        Level of the state above each place, counted from the top; None where it is not needed.
    share : (rows,), or None
        Of the level below it.
    """

    pressure: torch.Tensor
    above: torch.Tensor | None = None
    share: torch.Tensor | None = None


class Places(Protocol):
    """Places of data: how they are found in a state, and the values of the state or of other fields there.

    Attributes
    ----------
    move : bool
        Whether the places depend on the geopotential of the state.
    """

    move: bool

    def find(self, state: torch.Tensor, rise: torch.Tensor) -> Found:
        """Find the places in a state, (69, lat, lon), whose geopotential is higher by `rise`, (rows,) in m2 s-2."""

    def values(self, fields: torch.Tensor, variable: str, found: Found) -> torch.Tensor:
        """A variable of fields, (69, lat, lon), at places that have been found, (rows,)."""

    def outside(self, state: torch.Tensor) -> torch.Tensor:
        """Which places do not lie within the levels of a state, (rows,) of bool."""

    def points(self) -> torch.Tensor:
        """Flat indices of the points of the grid that are read, with repetitions."""

    def on_points(self, place: torch.Tensor, size: int) -> "Places":
        """The same in states that have some points of the grid alone, see `ObservationOperator.on_points`."""


class PressurePlaces:
    """Places of given pressure, or at the surface.

    Parameters
    ----------
    table : Observations
        Of data within the levels of the state.
    variables : sequence of str
        The variables of the state that will be needed.
    grid : Grid
    """

    move = False

    def __init__(
        self,
        table: Observations,
        variables: Sequence[str],
        grid: Grid,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
    ) -> None:
        size = len(table)
        self._found = Found(torch.as_tensor(table.pressure, dtype=dtype, device=device))
        self._interpolations = {
            name: Interpolation(
                table,
                np.full(size, first_channel(name)),
                np.full(size, name not in SURFACE),
                grid,
                dtype,
                device,
            )
            for name in variables
        }

    def find(self, state: torch.Tensor, rise: torch.Tensor) -> Found:
        """The places, which are the same in all states."""
        return self._found

    def values(self, fields: torch.Tensor, variable: str, found: Found) -> torch.Tensor:
        """A variable of fields, (69, lat, lon), at the places, (rows,)."""
        return self._interpolations[variable](fields)

    def outside(self, state: torch.Tensor) -> torch.Tensor:
        """None, (rows,): pressures have been compared with the levels."""
        return torch.zeros_like(self._found.pressure, dtype=torch.bool)

    def points(self) -> torch.Tensor:
        """See `Places`."""
        return torch.cat([interpolation.points() for interpolation in self._interpolations.values()])

    def on_points(self, place: torch.Tensor, size: int) -> "PressurePlaces":
        """See `Places`."""
        other = copy(self)
        other._interpolations = {name: one.on_points(place, size) for name, one in self._interpolations.items()}
        return other


class HeightPlaces:
    """Places of given geopotential height, in m; beyond the column of a state they count as its end.

    Parameters
    ----------
    table : Observations
        Of data with heights.
    grid : Grid
    """

    move = True

    def __init__(
        self,
        table: Observations,
        grid: Grid,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
    ) -> None:
        index, weight = points_around(grid, table.latitude, table.longitude)
        self._points = torch.as_tensor(index, device=device)
        self._weight = torch.as_tensor(weight, dtype=dtype, device=device)
        self._geopotential = torch.as_tensor(GRAVITY * table.height.astype(float), dtype=dtype, device=device)
        self._log_levels = torch.as_tensor(np.log(LEVELS), dtype=dtype, device=device)

    def points(self) -> torch.Tensor:
        """See `Places`."""
        return self._points.flatten()

    def on_points(self, place: torch.Tensor, size: int) -> "HeightPlaces":
        """See `Places`."""
        other = copy(self)
        other._points = place[self._points]
        return other

    def _column(self, state: torch.Tensor) -> torch.Tensor:
        """Geopotential between the grid points at all levels, (levels, rows)."""
        first = first_channel("z")
        levels = state[first : first + len(LEVELS)].flatten(1)
        return (self._weight * levels[:, self._points]).sum(1)

    def find(self, state: torch.Tensor, rise: torch.Tensor) -> Found:
        """Find the heights in the column of a state, (69, lat, lon), that is higher by `rise`, (rows,) in m2 s-2."""
        column = self._column(state) + rise
        above = ((column.detach() >= self._geopotential).sum(0) - 1).clamp(0, len(LEVELS) - 2)
        upper = column.gather(0, above[None])[0]
        lower = column.gather(0, above[None] + 1)[0]
        share = ((upper - self._geopotential) / (upper - lower).clamp(min=_LEAST_DEPTH)).clamp(0.0, 1.0)
        log_upper = self._log_levels[above]
        log_lower = self._log_levels[above + 1]
        return Found((log_upper + share * (log_lower - log_upper)).exp(), above, share)

    def values(self, fields: torch.Tensor, variable: str, found: Found) -> torch.Tensor:
        """A variable of fields, (69, lat, lon), at places that have been found, (rows,)."""
        first = first_channel(variable)
        if variable in SURFACE or found.above is None or found.share is None:
            return self._level(fields, torch.full_like(self._points[0], first))
        upper = self._level(fields, first + found.above)
        lower = self._level(fields, first + found.above + 1)
        return (1.0 - found.share) * upper + found.share * lower

    def _level(self, fields: torch.Tensor, channel: torch.Tensor) -> torch.Tensor:
        """The channel of each row, (rows,), between the grid points."""
        flat = fields.reshape(-1)
        points = channel * (fields.shape[-2] * fields.shape[-1]) + self._points
        return (self._weight * flat[points]).sum(0)

    def outside(self, state: torch.Tensor) -> torch.Tensor:
        """Which heights lie above the highest or below the lowest level of the column of a state, (rows,) of bool."""
        column = self._column(state)
        tolerance = GRAVITY * HEIGHT_TOLERANCE
        return (self._geopotential > column[0] + tolerance) | (self._geopotential < column[-1] - tolerance)
