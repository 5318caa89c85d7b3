"""Simulated observations: fixed columns of grid points, all variables, with Gaussian noise of the declared errors."""

from collections.abc import Callable, Iterable
from datetime import datetime

import numpy as np

from ..grid import Grid
from ..seeds import derived_seed
from ..state import CHANNELS
from ..timeline import hours_since_1970
from .table import CODES, Observations

ARRANGEMENTS = ("quasi_uniform", "random")


def draw_columns(grid: Grid, count: int, arrangement: str, seed: int) -> np.ndarray:
    """Grid points of an observing network, flat indices in ascending order.

    Parameters
    ----------
    arrangement : str
        ``random``: any points, alike. ``quasi_uniform``: farthest points, each as far as can be from those before it,
        the first one drawn.

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
    latitude, longitude = np.radians(np.meshgrid(grid.latitude, grid.longitude, indexing="ij"))
    position = np.stack(
        [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)], axis=-1
    ).reshape(-1, 3)
    chosen = [int(random.integers(points))]
    nearest = -(position @ position[chosen[0]])
    for _ in range(count - 1):
        nearest[chosen[-1]] = -np.inf
        chosen.append(int(np.argmax(nearest)))
        nearest = np.minimum(nearest, -(position @ position[chosen[-1]]))
    return np.sort(chosen)


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
