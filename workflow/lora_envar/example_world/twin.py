"""Simulated observations: fixed columns of grid points, with Gaussian noise of the declared errors."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import torch

from ..fields.grid import Grid
from ..fields.seeds import derived_seed
from ..fields.state import CHANNELS, LEVELS, VARIABLES
from ..fields.timeline import hours_since_1970
from ..observations.catalogue import CODES, TYPES
from ..observations.limits import outside_of_limits
from ..observations.observation_type import ObservationType
from ..observations.operator import ObservationOperator
from ..observations.table import Observations, concatenate
from .networks.simulated import ARRANGEMENTS

STATE_VARIABLES = tuple(VARIABLES)
GOLDEN_SECTION = (5**0.5 - 1) / 2  # turns from one point of a Fibonacci lattice to the next


def draw_columns(grid: Grid, count: int, arrangement: str, seed: int) -> np.ndarray:
    """Grid points of an observing network, flat indices in ascending order.

    Parameters
    ----------
    arrangement : str
        ``random``: any points, alike, so that there are more of them in an area towards the poles. ``quasi_uniform``:
        the points of a Fibonacci lattice (Swinbank and Purser 2006, https://doi.org/10.1256/qj.05.227), the same number
        in equal areas, each at the nearest grid point; the seed turns the lattice.

    Raises
    ------
    ValueError
        If there are fewer grid points than columns.
    """
    points = grid.nlat * grid.nlon
    if not 0 < count <= points:
        raise ValueError(f"{count} columns cannot be drawn from a grid of {points} points")
    random = np.random.default_rng([seed, count])
    if arrangement == "random":
        return np.sort(random.permutation(points)[:count])
    if arrangement != "quasi_uniform":
        raise ValueError(f"the arrangement {arrangement!r} is unknown; known: {', '.join(ARRANGEMENTS)}")
    place = np.arange(count)
    height = 1.0 - 2.0 * (place + random.uniform()) / count
    row = np.searchsorted(-grid.latitude_edges, -height) - 1
    turn = (place * GOLDEN_SECTION + random.uniform()) % 1.0
    column = np.rint(turn * grid.nlon).astype(int) % grid.nlon
    return np.sort(_without_repeats(grid, row * grid.nlon + column))


def _without_repeats(grid: Grid, wanted: np.ndarray) -> np.ndarray:
    """Flat indices of grid points, no two alike: a point that is taken is replaced by the nearest free one."""
    latitude, longitude = np.radians(np.meshgrid(grid.latitude, grid.longitude, indexing="ij"))
    position = np.stack(
        [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)], axis=-1
    ).reshape(-1, 3)
    chosen, first = np.unique(wanted, return_index=True)
    repeated = np.delete(wanted, first)
    free = np.ones(len(position), dtype=bool)
    free[chosen] = False
    taken = list(chosen)
    for point in repeated:
        nearest = np.where(free, position @ position[point], -np.inf).argmax()
        free[nearest] = False
        taken.append(nearest)
    return np.array(taken)


@dataclass(frozen=True)
class SimulatedNetwork:
    """The observations of a simulated network.

    Attributes
    ----------
    columns : (n,) array of int
        Flat indices of grid points, see `draw_columns`.
    errors : (69,) array
        Standard deviation of the observation error per channel, in the units of the state.
    noise : bool
        Whether errors of that size are added; drawn from the seed, the time and, of types that are no variable of the
        state, the type alone.
    seed : int
        Of these draws.
    types : tuple of str
        Names of the types that are observed, those above the surface at the levels of the state.
    relative_errors : mapping
        Type that is no variable of the state -> standard deviation of its error as a share of the true value, in place
        of the type's own error.

    Raises
    ------
    ValueError
        If a type is unknown, or if a relative error belongs to none of these types, or is not positive.
    """

    columns: np.ndarray
    errors: np.ndarray
    noise: bool
    seed: int
    types: tuple[str, ...] = STATE_VARIABLES
    relative_errors: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in (*self.types, *self.relative_errors):
            if name not in TYPES:
                raise ValueError(f"the type of observation {name!r} is unknown; known: {', '.join(TYPES)}")
        for name, share in self.relative_errors.items():
            if name in STATE_VARIABLES:
                raise ValueError(f"relative_errors: the errors of {name} are given by error_fraction; leave {name} out")
            if not share > 0:
                raise ValueError(f"relative_errors: {share} for {name} is not above zero")


def simulate(
    truth: Callable[[datetime], np.ndarray], times: Iterable[datetime], grid: Grid, network: SimulatedNetwork
) -> Observations:
    """Observe the types of a network at its columns, at every time.

    Impossible values of types that are not variables of the state are left out.

    Parameters
    ----------
    truth : function
        Returns the true state, (69, lat, lon).
    grid : Grid
        Of these states.
    """
    others = [TYPES[name] for name in network.types if name not in STATE_VARIABLES]
    parts = []
    for time in times:
        state = truth(time)
        parts.append(_state_variables(state, hours_since_1970(time), grid, network))
        parts.extend(_type(kind, state, hours_since_1970(time), grid, network) for kind in others)
    return concatenate(parts)


def _state_variables(state: np.ndarray, hour: int, grid: Grid, network: SimulatedNetwork) -> Observations:
    """The channels of the state that are observed. The noise of a channel does not depend on which others are."""
    value = state.reshape(len(CHANNELS), -1)[:, network.columns].astype(np.float64)
    if network.noise:
        draws = np.random.default_rng(derived_seed(network.seed, "noise", hour))
        value = value + network.errors[:, None] * draws.standard_normal(value.shape)
    chosen = [index for index, channel in enumerate(CHANNELS) if channel.variable in network.types]
    return Observations.build(
        value=value[chosen].ravel(),
        error=np.repeat(network.errors[chosen], len(network.columns)),
        **_places(
            [CODES[CHANNELS[index].variable] for index in chosen],
            [CHANNELS[index].level for index in chosen],
            hour,
            grid,
            network.columns,
        ),
    )


def _type(kind: ObservationType, state: np.ndarray, hour: int, grid: Grid, network: SimulatedNetwork) -> Observations:
    """A type derived from several variables, at all levels of the state or at the surface."""
    levels: Sequence[int | None] = [None] if kind.surface else LEVELS
    places = _places([kind.code] * len(levels), levels, hour, grid, network.columns)
    table = Observations.build(value=np.zeros(len(levels) * len(network.columns)), **places)
    operator = ObservationOperator(table, grid, torch.float64)
    value = operator(torch.as_tensor(state, dtype=torch.float64)).numpy()
    if kind.name in network.relative_errors:
        error = network.relative_errors[kind.name] * value
    else:
        error = kind.error(table.pressure.astype(float), value)
    if network.noise:
        draws = np.random.default_rng(derived_seed(network.seed, "noise", kind.name, hour))
        value = value + error * draws.standard_normal(len(value))
    table = table.with_columns(value=value.astype("f4"), error=error.astype("f4"))
    possible = (table.error > 0) & ~outside_of_limits(table.variable, table.value, table.pressure)
    return table.select(possible)


def _places(
    codes: Sequence[int], levels: Sequence[int | None], hour: int, grid: Grid, columns: np.ndarray
) -> dict[str, np.ndarray]:
    """Columns of a table of several channels, one after the other, each observed at all columns of the network."""
    row, column = np.divmod(columns, grid.nlon)
    pressure = [np.nan if level is None else level for level in levels]
    return {
        "variable": np.repeat(codes, len(columns)),
        "pressure": np.repeat(pressure, len(columns)),
        "latitude": np.tile(grid.latitude[row], len(codes)),
        "longitude": np.tile(grid.longitude[column], len(codes)),
        "station": np.tile(columns.astype("S8"), len(codes)),
        "time": np.full(len(codes) * len(columns), hour),
    }
