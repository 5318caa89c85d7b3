"""What increments of single observations show about a background error: size, lengths, balance and flow dependence.

Of one observation the increment is a column of B, up to its size, if the error model is linear. Its numbers:

half-widths
    The increment of the observed variable is followed from the observation along its parallel (zonal) and its meridian
    (meridional, on across a pole) until it is half of what it is at the observation, linear between points of the
    grid. The half-width is the mean of both directions; not a number where one of them never falls so far.
geostrophic ratio
    `<v, v_g> / <v_g, v_g>`, with v the wind of the increment, v_g = k x grad(Phi) / f the geostrophic wind of its
    geopotential, at the observed level, over the area within `SURROUNDING` km of the observation and poleward of
    `TROPICS` degrees. 1 is balance, 0 wind that knows nothing of the mass.
opposite hemisphere ratio
    Root mean square of the increment of the observed variable over the half of the globe opposite to the observation,
    over that of its own half.
correlation with the first time
    Pattern correlation, over the globe, of the increments of the observed variable at this time and the first. A
    background error that does not know the flow of the day has 1.
"""

import numpy as np
import pandas as pd
import torch

from ..analysis.increments import Increments
from ..fields.constants import EARTH_RADIUS_KM, EARTH_ROTATION
from ..fields.grid import Grid
from ..fields.harmonics import SphericalHarmonics, VectorHarmonics, finest_truncation
from ..fields.state import channel_index
from ..observations.operator import ObservationOperator
from ..observations.single import SingleObservation
from .learned import pattern_correlation

#: km from the observation within which winds are compared with geostrophic ones
SURROUNDING = 2000.0
#: degrees of latitude within which winds are not geostrophic
TROPICS = 15.0
#: degrees between points along parallel and meridian
STEP = 0.5

COLUMNS = [
    "experiment",
    "valid_time",
    "observation",
    "departure",
    "observation_error",
    "increment",
    "largest_increment",
    "largest_distance_km",
    "zonal_half_width_km",
    "meridional_half_width_km",
    "geostrophic_ratio",
    "opposite_hemisphere_ratio",
    "correlation_with_first_time",
    "gradient_reduction",
    "evaluations",
]


def table_of(increments: Increments) -> pd.DataFrame:
    """One row per experiment, observation and time, with `COLUMNS`."""
    grid = increments.grid
    winds = VectorHarmonics(SphericalHarmonics(grid, finest_truncation(grid), torch.float64))
    rows = []
    for where in np.ndindex(increments.departure.shape):
        experiment, number, time = where
        observation = increments.observations[number]
        own = torch.from_numpy(increments.fields[where]).double()
        first = torch.from_numpy(increments.fields[experiment, number, 0]).double()
        observed = channel_index(observation.channel)
        largest, distance = _largest(own[observed], observation, grid)
        zonal, meridional = half_widths(own, observation, grid)
        rows.append(
            (
                increments.experiments[experiment],
                f"{increments.times[time]:%Y-%m-%dT%H}",
                observation.name,
                increments.departure[where],
                increments.error[where],
                increments.at_observation[where],
                largest,
                distance,
                zonal,
                meridional,
                geostrophic_ratio(own, observation, winds, grid),
                opposite_hemisphere_ratio(own[observed], observation, grid),
                pattern_correlation(own[observed], first[observed], grid).item(),
                increments.gradient_reduction[where],
                int(increments.evaluations[where]),
            )
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def distances(observation: SingleObservation, grid: Grid) -> np.ndarray:
    """From an observation to the points of a grid on the sphere, in km, (lat, lon), by the haversine formula."""
    latitude = np.radians(grid.latitude)[:, None]
    phi = np.radians(observation.latitude)
    half = np.sin((latitude - phi) / 2) ** 2
    around = np.sin(np.radians(grid.longitude - observation.longitude) / 2) ** 2
    half = half + np.cos(latitude) * np.cos(phi) * around
    return 2.0 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(half.clip(0.0, 1.0)))


def _largest(field: torch.Tensor, observation: SingleObservation, grid: Grid) -> tuple[float, float]:
    """The value of a field, (lat, lon), that is largest in size, and its distance from an observation in km."""
    index = int(field.abs().argmax())
    return field.flatten()[index].item(), distances(observation, grid).flat[index]


def half_widths(increment: torch.Tensor, observation: SingleObservation, grid: Grid) -> tuple[float, float]:
    """Zonal and meridional half-width in km of an increment, (69, lat, lon), see the module."""
    angle = np.arange(0.0, 180.0 + STEP, STEP)
    eastward = np.full_like(angle, observation.latitude)
    radius = np.cos(np.radians(observation.latitude))
    zonal = [(eastward, (observation.longitude + sign * angle) % 360.0) for sign in (1, -1)]
    meridional = []
    for sign in (1, -1):
        around = observation.latitude + sign * angle
        beyond = np.abs(around) > 90.0
        latitude = np.where(beyond, np.sign(around) * 180.0 - around, around)
        meridional.append((latitude, (observation.longitude + 180.0 * beyond) % 360.0))
    return (
        _half_width(increment, observation, grid, zonal, radius),
        _half_width(increment, observation, grid, meridional, 1.0),
    )


def _half_width(
    increment: torch.Tensor,
    observation: SingleObservation,
    grid: Grid,
    lines: list[tuple[np.ndarray, np.ndarray]],
    radius: float,
) -> float:
    """Mean distance in km at which the increment falls to half along lines whose points are `STEP` degrees apart.

    `radius` is that of the lines' circle over the Earth's.
    """
    found = []
    for latitude, longitude in lines:
        table = observation.at(latitude, longitude)
        values = ObservationOperator(table, grid, increment.dtype)(increment).numpy()
        share = values / values[0] if values[0] else np.full_like(values, np.nan)
        below = np.flatnonzero(share < 0.5)
        if not len(below):
            return float("nan")
        end = below[0]
        steps = end - (0.5 - share[end]) / (share[end - 1] - share[end])
        found.append(EARTH_RADIUS_KM * radius * np.radians(STEP * steps))
    return float(np.mean(found))


def geostrophic_ratio(
    increment: torch.Tensor, observation: SingleObservation, winds: VectorHarmonics, grid: Grid
) -> float:
    """Of an increment, (69, lat, lon), see the module; not a number of observations in the tropics."""
    wind = torch.stack([increment[channel_index(f"{name}{observation.level}")] for name in ("u", "v")])
    coriolis = 2.0 * EARTH_ROTATION * np.sin(np.radians(grid.latitude))[:, None]
    near = (distances(observation, grid) <= SURROUNDING) & (np.abs(grid.latitude) >= TROPICS)[:, None]
    if abs(observation.latitude) < TROPICS or not near.any():
        return float("nan")
    # k x grad(Phi) is the wind of Phi as a stream function
    potential = winds.harmonics.analyse(increment[channel_index(f"z{observation.level}")][None])
    geostrophic = torch.cat(winds.synthesise(potential, torch.zeros_like(potential)))
    geostrophic = geostrophic / torch.from_numpy(np.where(near, coriolis, 1.0))
    weights = torch.from_numpy(near * grid.area_weights[:, None])
    return ((weights * wind * geostrophic).sum() / (weights * geostrophic**2).sum()).item()


def opposite_hemisphere_ratio(field: torch.Tensor, observation: SingleObservation, grid: Grid) -> float:
    """Of a field, (lat, lon), see the module."""
    own = torch.from_numpy(distances(observation, grid) <= 0.5 * np.pi * EARTH_RADIUS_KM)
    weights = torch.from_numpy(grid.area_weights)[:, None].expand(grid.shape)
    mean_square = [(weights * field**2)[half].sum() / weights[half].sum() for half in (~own, own)]
    return (mean_square[0] / mean_square[1]).sqrt().item()
