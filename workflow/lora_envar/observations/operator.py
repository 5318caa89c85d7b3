"""The observation operator, which maps a state to observations and is differentiable.

Rows of variables of the state at pressures, or at the surface, are weighted sums of at most eight points (see
`interpolation`). All others are functions of several such values (see `places` and `observation_type`).
"""

from collections.abc import Sequence
from copy import copy

import numpy as np
import torch

from ..fields.grid import Grid
from ..fields.state import CHANNELS, LEVELS
from .catalogue import at_surface, by_code, types_among
from .interpolation import Interpolation, first_channel
from .observation_type import ObservationType, StateVariable
from .places import HeightPlaces, Places, PressurePlaces
from .table import Observations

#: standard pressures beyond which heights are within the levels of no state: 50 hPa lies below 21.5 km everywhere, and
#: nothing is measured below the Dead Sea, at -0.43 km
TOP_OF_HEIGHTS = 43.0  # hPa
BOTTOM_OF_HEIGHTS = 1069.0  # hPa

_STATE_VARIABLE = by_code(lambda kind: isinstance(kind, StateVariable), False)
_FIRST_CHANNEL = by_code(lambda kind: first_channel(kind.inputs[0]), 0)


def outside_of_levels(table: Observations) -> np.ndarray:
    """Which rows lie above the highest or below the lowest level of the state, where H is not defined, (rows,).

    Of rows that are placed by height this is a first check alone, for it depends on the state:
    `ObservationOperator.outside` is the other.
    """
    at_height = np.isfinite(table.height)
    top = np.where(at_height, TOP_OF_HEIGHTS, LEVELS[0])
    bottom = np.where(at_height, BOTTOM_OF_HEIGHTS, LEVELS[-1])
    with np.errstate(invalid="ignore"):
        inside = (table.pressure >= top) & (table.pressure <= bottom)
    return ~at_surface(table.variable) & ~inside


class ObservationOperator:
    """H for the rows of a table, all within the levels of the state.

    Attributes
    ----------
    linear : bool
        Whether all rows are linear in the state.

    Parameters
    ----------
    table : Observations
        Of any types.
    grid : Grid
        Grid of the states to be observed.

    Raises
    ------
    ValueError
        If rows lie outside the levels of the state.
    """

    def __init__(
        self,
        table: Observations,
        grid: Grid,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
    ) -> None:
        if outside_of_levels(table).any():
            raise ValueError(
                "the observation operator was given data above or below the levels of the state; leave them out"
            )
        self._size = grid.nlat * grid.nlon
        at_height = np.isfinite(table.height)
        weighted = _STATE_VARIABLE[table.variable] & ~at_height
        self.linear = bool(weighted.all())
        part = table.select(weighted)
        first = _FIRST_CHANNEL[part.variable]
        self._interpolation = Interpolation(part, first, ~at_surface(part.variable), grid, dtype, device)
        order = [np.flatnonzero(weighted)]
        self._functions: list[_Function] = []
        for kind in types_among(table.variable[~weighted]):
            for by_height in (False, True):
                rows = np.flatnonzero(~weighted & (table.variable == kind.code) & (at_height == by_height))
                if not len(rows):
                    continue
                part = table.select(rows)
                places: Places = PressurePlaces(part, kind.inputs, grid, dtype, device)
                if by_height:
                    places = HeightPlaces(part, grid, dtype, device)
                self._functions.append(_Function(kind, places, len(rows)))
                order.append(rows)
        self._order = torch.as_tensor(np.argsort(np.concatenate(order)), device=device)

    def __call__(self, state: torch.Tensor) -> torch.Tensor:
        """The equivalents, (rows,), of a state, (69, lat, lon)."""
        _check_channels(state)
        return self._in_order([self._interpolation(state), *(function(state) for function in self._functions)])

    def deviation(self, state: torch.Tensor, deviations: torch.Tensor) -> torch.Tensor:
        """Standard deviation of H(x) where that of the state is given per channel, in the units of the rows, (rows,).

        Errors of neighbouring points and levels go together, those of different variables are independent:

            s^2 = sum_i (dh / dx_i)^2 s_i^2

        with the deviations s_i interpolated to the place, and the derivatives at the state. A row that is placed by
        height depends on z, too: an error of z moves it.

        Parameters
        ----------
        state : (69, lat, lon)
            The state at which the derivatives are taken; not used if all rows are linear.
        deviations : (69,)
        """
        fields = deviations[:, None, None].expand(len(CHANNELS), *state.shape[1:]).contiguous()
        parts = [function.deviation(state, fields) for function in self._functions]
        return self._in_order([self._interpolation(fields), *parts])

    def on_points(self) -> tuple[torch.Tensor, "ObservationOperator"]:
        """The points of the grid that are read, and H of states that have these alone.

        Returns
        -------
        points : (points,)
            Flat indices, ascending.
        operator : ObservationOperator
            Its states are (69, 1, points).
        """
        read = [self._interpolation.points(), *(function.places.points() for function in self._functions)]
        points = torch.cat(read).cpu().unique().to(self._order.device)
        place = torch.zeros(self._size, dtype=torch.int64, device=points.device)
        place[points] = torch.arange(len(points), device=points.device)
        other = copy(self)
        other._size = len(points)
        other._interpolation = self._interpolation.on_points(place, len(points))
        other._functions = [
            _Function(function.kind, function.places.on_points(place, len(points)), function.size)
            for function in self._functions
        ]
        return points, other

    def outside(self, state: torch.Tensor) -> torch.Tensor:
        """Which rows are placed by a height that is not within the levels of a state, (rows,) of bool."""
        inside = torch.zeros(len(self._order) - sum(function.size for function in self._functions), dtype=torch.bool)
        parts = [function.places.outside(state) for function in self._functions]
        return self._in_order([inside.to(self._order.device), *parts])

    def _in_order(self, parts: Sequence[torch.Tensor]) -> torch.Tensor:
        """Join values for parts of the rows into those of all rows."""
        return parts[0] if self.linear else torch.cat(list(parts))[self._order]


class _Function:
    """H for rows of one type that is not a weighted sum."""

    def __init__(self, kind: ObservationType, places: Places, size: int) -> None:
        self.kind = kind
        self.places = places
        self.size = size

    def __call__(self, state: torch.Tensor) -> torch.Tensor:
        """Equivalents, (rows,)."""
        found = self.places.find(state, state.new_zeros(self.size))
        inputs = {name: self.places.values(state, name, found) for name in self.kind.inputs}
        return self.kind.equivalent(inputs, found.pressure)

    def deviation(self, state: torch.Tensor, fields: torch.Tensor) -> torch.Tensor:
        """Standard deviation of the equivalents, (rows,), for deviations of the state as fields, (69, lat, lon)."""
        state = state.detach()
        names = self.kind.inputs
        variables = dict.fromkeys((*names, "z") if self.places.move else names)
        shifts = {name: state.new_zeros(self.size, requires_grad=True) for name in variables}
        with torch.enable_grad():
            rise = shifts["z"] if self.places.move else state.new_zeros(self.size)
            found = self.places.find(state, rise)
            inputs = {name: self.places.values(state, name, found) + shifts[name] for name in names}
            # a row depends on its own place alone, so the gradient of the sum holds the derivatives of every row
            total = self.kind.equivalent(inputs, found.pressure).sum()
            slopes = torch.autograd.grad(total, list(shifts.values()))
        with torch.no_grad():
            parts = [
                slope * self.places.values(fields, name, found) for name, slope in zip(shifts, slopes, strict=True)
            ]
            return torch.stack(parts).square().sum(0).sqrt()


def _check_channels(state: torch.Tensor) -> None:
    if state.shape[0] != len(CHANNELS):
        raise ValueError(f"expected a state of {len(CHANNELS)} channels, got the shape {tuple(state.shape)}")
