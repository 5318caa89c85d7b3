"""The example's truth: a nature run of `jcm` (SPEEDY physics, T21, 8 sigma levels) as 69-channel states.

Eight sigma levels carry 33 independent fields, so the 69 channels are redundant in the vertical; horizontally
everything is projected onto T21. The conversion from sigma to pressure follows these rules, p being the pressure of a
level and "lowest" the lowest sigma level (0.95):

* The top level (sigma 0.025) of SPEEDY cools far below any observed stratosphere. Its temperature is held within 15 K
  of the level below, T1 = T2 + 15 tanh((T1 - T2) / 15), and its geopotential recomputed hydrostatically.
* Between sigma levels: linear in log p. Below the lowest level: winds and humidity constant; temperature with the
  standard lapse rate, T = T_low (p / p_low)^(R L / g); geopotential hydrostatically with that temperature.
* t2m: the same extrapolation of temperature to the surface pressure. msl: surface pressure reduced with the standard
  lapse rate from t2m. u10, v10: the neutral logarithmic profile from the lowest level, roughness length 1 cm. The
  surface lies below the lowest level by the thickness R T_low log(1 / 0.95): the orography as the model's spectral
  dynamics see it, which differs from the one on file.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike

from ..fields.constants import LAPSE_RATE
from ..fields.grid import Grid
from ..fields.harmonics import SphericalHarmonics
from ..fields.state import CHANNELS, LEVELS, channel_index

#: constants of the model, jcm's, which are not those of `fields.constants`
GRAVITY = 9.81  # m s-2
GAS_CONSTANT = 287.0  # J kg-1 K-1, dry air
ROUGHNESS_LENGTH = 0.01  # m
REFERENCE_PRESSURE = 1.0e5  # Pa

#: what coefficients of nature runs are of
NATURE_GRID = Grid("gaussian", 32, 64)
NATURE_TRUNCATION = 21
#: from rest
SPIN_UP_DAYS = 90
#: what the model computes at once
CHUNK_DAYS = 10


@dataclass(frozen=True)
class SigmaState:
    """Model output on sigma levels, top first, latitudes north to south.

    Attributes
    ----------
    sigma : (8,) full levels
    u, v, t, q, z : (time, 8, lat, lon) in m s-1, m s-1, K, kg kg-1, m2 s-2
    surface_pressure : (time, lat, lon) in Pa
    """

    sigma: np.ndarray
    u: np.ndarray
    v: np.ndarray
    t: np.ndarray
    q: np.ndarray
    z: np.ndarray
    surface_pressure: np.ndarray


def temper_model_top(state: SigmaState) -> SigmaState:
    """Hold the top level's temperature within 15 K of the level below, and recompute its geopotential."""
    top = state.t[:, 0]
    below = state.t[:, 1]
    tempered = below + 15.0 * np.tanh((top - below) / 15.0)
    thickness = GAS_CONSTANT * (tempered + below) / 2 * np.log(state.sigma[1] / state.sigma[0])
    t = state.t.copy()
    t[:, 0] = tempered
    z = state.z.copy()
    z[:, 0] = state.z[:, 1] + thickness
    return SigmaState(state.sigma, state.u, state.v, t, state.q, z, state.surface_pressure)


def to_pressure_levels(state: SigmaState) -> np.ndarray:
    """The 69 channels, float32 of shape (time, 69, lat, lon), by the rules of this module."""
    exponent = GAS_CONSTANT * LAPSE_RATE / GRAVITY
    lowest_pressure = state.sigma[-1] * state.surface_pressure
    lowest_t = state.t[:, -1]
    lowest_z = state.z[:, -1]
    fields: dict[tuple[str, int | None], np.ndarray] = {}
    for level in LEVELS:
        depth = np.log(level * 100.0 / state.surface_pressure)  # log of sigma
        lower = np.clip(np.searchsorted(np.log(state.sigma), depth), 1, len(state.sigma) - 1)
        above = np.log(state.sigma)[lower - 1]
        below = np.log(state.sigma)[lower]
        fraction = np.clip((depth - above) / (below - above), 0.0, 1.0)
        for name in ("u", "v", "q", "t", "z"):
            profile = getattr(state, name)
            upper_value = np.take_along_axis(profile, lower[:, None] - 1, axis=1)[:, 0]
            lower_value = np.take_along_axis(profile, lower[:, None], axis=1)[:, 0]
            fields[name, level] = upper_value + fraction * (lower_value - upper_value)
        ratio = np.maximum(level * 100.0 / lowest_pressure, 1.0) ** exponent
        underground = ratio > 1.0
        fields["t", level] = np.where(underground, lowest_t * ratio, fields["t", level])
        sunk = lowest_z - lowest_t * (ratio - 1.0) * GRAVITY / LAPSE_RATE
        fields["z", level] = np.where(underground, sunk, fields["z", level])

    fields["t2m", None] = lowest_t * (1.0 / state.sigma[-1]) ** exponent
    lowest_height = GAS_CONSTANT * lowest_t * np.log(1.0 / state.sigma[-1]) / GRAVITY
    height = lowest_z / GRAVITY - lowest_height
    fields["msl", None] = state.surface_pressure * (1.0 + LAPSE_RATE * height / fields["t2m", None]) ** (1 / exponent)
    log_profile = np.log(10.0 / ROUGHNESS_LENGTH) / np.log(lowest_height / ROUGHNESS_LENGTH)
    fields["u10", None] = state.u[:, -1] * log_profile
    fields["v10", None] = state.v[:, -1] * log_profile
    return np.stack([fields[c.variable, c.level] for c in CHANNELS], axis=1).astype(np.float32)


def surface_height(states: np.ndarray) -> np.ndarray:
    """Height of the model's surface in m, (lat, lon), from states of `to_pressure_levels`, (time, 69, lat, lon).

    By the rules of this module: t1000 lies on the profile of t2m, which gives surface pressure, and msl its height.
    """
    exponent = GAS_CONSTANT * LAPSE_RATE / GRAVITY
    t2m = states[:, channel_index("t2m")].astype(np.float64)
    msl = states[:, channel_index("msl")].astype(np.float64)
    t1000 = states[:, channel_index("t1000")].astype(np.float64)
    surface_pressure = REFERENCE_PRESSURE * (t2m / t1000) ** (1 / exponent)
    return (((msl / surface_pressure) ** exponent - 1.0) * t2m / LAPSE_RATE).mean(axis=0)


def nature_run(
    start: str, days: int, step_hours: int = 6, progress: Callable[[str], None] = print
) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
    """Run the model from rest, drop the spin-up, and yield blocks of states.

    Parameters
    ----------
    start : str
        Date of the first state after the spin-up (90 days), ISO 8601.
    days : int
        Length in days, a multiple of 10.
    step_hours : int
        Time from one state to the next.

    Yields
    ------
    (numpy.ndarray of datetime64[h], torch.Tensor)
        Times, and T21 coefficients of shape (times of 10 days, 69, 484), float32.

    Raises
    ------
    ValueError
        If the length is not a multiple of 10 days.
    FloatingPointError
        If states are no longer finite.
    """
    import importlib.resources

    import jcm
    from jcm.forcing import ForcingData
    from jcm.model import Model
    from jcm.physics.speedy.speedy_coords import get_speedy_coords
    from jcm.terrain import TerrainData

    if days % CHUNK_DAYS:
        raise ValueError(f"the length of a nature run must be a multiple of {CHUNK_DAYS} days, not {days}")
    first = np.datetime64(start, "h")
    climatology = importlib.resources.files(jcm) / "data" / "bc" / "t30" / "clim"
    coords = get_speedy_coords(layers=8, spectral_truncation=NATURE_TRUNCATION)
    terrain = TerrainData.from_file(str(climatology / "terrain.nc"), coords=coords)
    forcing = ForcingData.from_file(str(climatology / "forcing.nc"), coords=coords)
    boundaries = np.asarray(coords.vertical.boundaries)
    sigma = (boundaries[1:] + boundaries[:-1]) / 2
    model = Model(coords=coords, terrain=terrain, start_time=str(first - np.timedelta64(SPIN_UP_DAYS, "D")))
    harmonics = SphericalHarmonics(NATURE_GRID, NATURE_TRUNCATION, torch.float64)

    def southward(field: ArrayLike) -> np.ndarray:
        """(..., lon, lat from the south) -> (..., lat from the north, lon), float64."""
        return np.asarray(field, dtype=np.float64).swapaxes(-1, -2)[..., ::-1, :]

    advance = model.run
    for elapsed in range(0, SPIN_UP_DAYS + days, CHUNK_DAYS):
        fields = advance(forcing=forcing, save_interval=step_hours / 24, total_time=float(CHUNK_DAYS)).dynamics
        advance = model.resume
        if elapsed < SPIN_UP_DAYS:
            continue
        state = SigmaState(
            sigma,
            southward(fields.u_wind),
            southward(fields.v_wind),
            southward(fields.temperature),
            southward(fields.specific_humidity),
            southward(fields.geopotential),
            southward(fields.normalized_surface_pressure) * REFERENCE_PRESSURE,
        )
        states = to_pressure_levels(temper_model_top(state))
        if not np.isfinite(states).all():
            raise FloatingPointError(f"the nature run that starts at {start} became unstable after {elapsed} days")
        coefficients = harmonics.analyse(torch.as_tensor(states, dtype=torch.float64)).float()
        hours = np.arange(step_hours, CHUNK_DAYS * 24 + 1, step_hours) + (elapsed - SPIN_UP_DAYS) * 24
        progress(f"{first + np.timedelta64(int(hours[-1]), 'h')}: {elapsed + CHUNK_DAYS} days")
        yield first + hours.astype("timedelta64[h]"), coefficients
