"""Simulated observations: fixed columns of grid points, all variables, with Gaussian noise of the declared errors."""

from collections.abc import Callable, Iterable
from datetime import datetime

import numpy as np

from ..fields.grid import Grid
from ..fields.seeds import derived_seed
from ..fields.state import CHANNELS
from ..fields.timeline import hours_since_1970
from ..observations.catalogue import CODES
from ..observations.table import Observations

ARRANGEMENTS = ("quasi_uniform", "random")
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
        raise ValueError(f"arrangement {arrangement!r} is unknown; known: {', '.join(ARRANGEMENTS)}")
    place = np.arange(count)
    height = 1.0 - 2.0 * (place + random.uniform()) / count
    row = np.searchsorted(-grid.latitude_edges, -height) - 1
    turn = (place * GOLDEN_SECTION + random.uniform()) % 1.0
    column = np.rint(turn * grid.nlon).astype(int) % grid.nlon
    return np.sort(_without_repeats(grid, row * grid.nlon + column))


def _without_repeats(grid: Grid, wanted: np.ndarray) -> np.ndarray:
    """Flat indices of grid points, each at its own: a point that is taken gives way to the nearest that is free."""
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


def simulate(
    truth: Callable[[datetime], np.ndarray],
    times: Iterable[datetime],
    grid: Grid,
    columns: np.ndarray,
    errors: np.ndarray,
    noise: bool,
    seed: int,
) -> Observations:
    """Observe all 69 channels at the columns, at every time.

    Parameters
    ----------
    truth : function
        Gives the true state, shape (69, lat, lon).
    errors : (69,)
        Standard deviation of the observation error per channel, in the units of the state.
    noise : bool
        Whether errors of that size are added; drawn from the seed and the time alone.
    """
    row, column = np.divmod(columns, grid.nlon)
    size = len(columns)
    stations = np.tile(columns.astype("S8"), len(CHANNELS))
    constant = {
        "variable": np.repeat([CODES[channel.variable] for channel in CHANNELS], size),
        "pressure": np.repeat([np.nan if channel.level is None else channel.level for channel in CHANNELS], size),
        "latitude": np.tile(grid.latitude[row], len(CHANNELS)),
        "longitude": np.tile(grid.longitude[column], len(CHANNELS)),
        "error": np.repeat(errors, size),
        "station": stations,
    }
    values, stamps = [], []
    for time in times:
        hour = hours_since_1970(time)
        value = truth(time).reshape(len(CHANNELS), -1)[:, columns].astype(np.float64)
        if noise:
            value = value + errors[:, None] * np.random.default_rng(derived_seed(seed, "noise", hour)).standard_normal(
                value.shape
            )
        values.append(value.ravel())
        stamps.append(np.full(value.size, hour))
    repeated = {name: np.tile(column, len(values)) for name, column in constant.items()}
    return Observations.build(value=np.concatenate(values), time=np.concatenate(stamps), **repeated)
