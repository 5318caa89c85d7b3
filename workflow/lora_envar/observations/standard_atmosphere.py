"""Heights and pressures of the ICAO standard atmosphere (Doc 7488): a first guess of where a datum lies.

The troposphere has a constant lapse rate; above 226.32 hPa, 11 km, it is taken to be isothermal throughout, though the
standard's temperature rises again from 20 km on, at 55 hPa: 0.4 km at 30 km, and nothing at the levels of the state.
"""

import numpy as np

from ..fields.constants import GRAVITY

SEA_PRESSURE = 1013.25  # hPa
TROPOPAUSE_PRESSURE = 226.32  # hPa
#: height at which the troposphere's pressure would vanish, T0 / L, and the exponent R L / g of its pressure
_VANISHING_HEIGHT = 44330.8  # m
_EXPONENT = 0.190263
_STRATOSPHERE_SCALE_HEIGHT = 6341.6  # m, R T / g at 216.65 K
_TROPOPAUSE_HEIGHT = _VANISHING_HEIGHT * (1.0 - (TROPOPAUSE_PRESSURE / SEA_PRESSURE) ** _EXPONENT)


def standard_geopotential(pressure: np.ndarray) -> np.ndarray:
    """Geopotential, m2 s-2, of pressure in hPa."""
    height = _VANISHING_HEIGHT * (1.0 - (np.maximum(pressure, TROPOPAUSE_PRESSURE) / SEA_PRESSURE) ** _EXPONENT)
    above = _STRATOSPHERE_SCALE_HEIGHT * np.log(TROPOPAUSE_PRESSURE / np.minimum(pressure, TROPOPAUSE_PRESSURE))
    return GRAVITY * (height + above)


def standard_pressure(height: np.ndarray) -> np.ndarray:
    """Pressure, hPa, at geopotential heights in m; the inverse of `standard_geopotential`."""
    below = np.minimum(height, _TROPOPAUSE_HEIGHT)
    above = np.maximum(height - _TROPOPAUSE_HEIGHT, 0.0)
    tropospheric = SEA_PRESSURE * (1.0 - below / _VANISHING_HEIGHT) ** (1.0 / _EXPONENT)
    return tropospheric * np.exp(-above / _STRATOSPHERE_SCALE_HEIGHT)
