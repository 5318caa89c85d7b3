"""Refractivity of the air, from occultations of navigation satellites (GNSS radio occultation)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...fields.constants import GAS_CONSTANT, VAPOUR_GAS_CONSTANT
from ...fields.state import LEVELS
from ..observation_type import IodaVariable, ObservationType

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

#: Smith and Weintraub (1953), https://doi.org/10.1109/JRPROC.1953.274297
DRY = 77.6  # K hPa-1
MOIST = 3.73e5  # K2 hPa-1
#: molar mass of water over that of dry air
_RATIO = GAS_CONSTANT / VAPOUR_GAS_CONSTANT

#: relative errors, see `Refractivity.error`
_ERROR_ALOFT = 0.004
_ERROR_AT_SURFACE = 0.02
_ALOFT = 500.0  # hPa
_SURFACE = 1000.0  # hPa

_LOG_LEVELS = np.log(LEVELS)
_BETWEEN_LEVELS = (_LOG_LEVELS[1:] + _LOG_LEVELS[:-1]) / 2
#: levels of the state, and what is midway between them
_CENTRES = np.sort(np.concatenate([_LOG_LEVELS, _BETWEEN_LEVELS]))


class Refractivity(ObservationType):
    """Refractivity N, with n = 1 + 1e-6 N the refractive index of radio waves.

        N = 77.6 p / T + 3.73e5 e / T^2,    e = q p / (eps + (1 - eps) q)

    with p and the vapour pressure e in hPa, T in K, and eps = 0.622.
    """

    name = "refractivity"
    code = 9
    long_name = "refractivity, refractive index of radio waves less one"
    units = "1e-6"
    inputs = ("q", "t")
    limits = (190.0, 600.0)
    # the lower end stays above zero
    margin = 0.3
    # N falls by a factor of e in H = 7 km, so that a mean over a layer of depth D is too large by (D / H)^2 / 24 of it:
    # 0.8 % for one of the state's layers of 3 km, twice the error of a datum; a quarter of that for half of it
    layer_edges = (_CENTRES[1:] + _CENTRES[:-1]) / 2
    shown_levels = (100, 300, 500, 850)
    shown_units = ("N-units", 1.0)
    ioda = IodaVariable("atmosphericRefractivity", "1e-6", obs_space="gnssro")

    def equivalent(self, inputs: Mapping[str, torch.Tensor], pressure: torch.Tensor) -> torch.Tensor:
        """N as a function of specific humidity, temperature and pressure."""
        humidity = inputs["q"]
        temperature = inputs["t"]
        vapour_pressure = humidity * pressure / (_RATIO + (1.0 - _RATIO) * humidity)
        return DRY * pressure / temperature + MOIST * vapour_pressure / temperature**2

    def error(self, pressure: np.ndarray, value: np.ndarray) -> np.ndarray:
        """0.4 % of the value above 500 hPa; below, growing with log pressure to 2 % at 1000 hPa.

        Kuo et al. (2004), https://doi.org/10.2151/jmsj.2004.507, estimate 0.3 to 0.5 %, errors of representativeness
        included, from 5 to 25 km, and about 3 % in the lowest kilometres of the tropics. The shape is simplified: it
        knows no latitude, and what it takes near the surface lies between the tropics and drier air.
        """
        depth = np.clip(np.log(pressure / _ALOFT) / np.log(_SURFACE / _ALOFT), 0.0, 1.0)
        return (_ERROR_ALOFT + (_ERROR_AT_SURFACE - _ERROR_ALOFT) * depth) * value

    def limited(self, value: np.ndarray, pressure: np.ndarray) -> np.ndarray:
        """The value brought to 1000 hPa, in proportion to pressure.

        Of dry air of 160 to 335 K it is 230 to 485; water vapour adds at most as much again. Where a height stands for
        the pressure, that of the standard atmosphere is off by up to a fifth.
        """
        return value * (1000.0 / pressure)
