"""Geopotential and geometric height.

    z = R H / (R gamma / g - H),    R = a / (1 + f + m - 2 f sin^2 phi)

with normal gravity gamma at the surface (Somigliana) and the constants of the World Geodetic System 1984. Source: M. J.
Mahoney, A discussion of various measures of altitude (2001), as in UFO's `geop2geometric`.
"""

import numpy as np

from ..fields.constants import GRAVITY

_MAJOR_AXIS = 6378137.0  # m
_FLATTENING = 1.0 / 298.257223563
_EQUATORIAL_GRAVITY = 9.7803253359  # m s-2
_SOMIGLIANA = 1.931852652e-3
_GRAVITY_RATIO = 3.449786507e-3


def geometric_height(geopotential_height: np.ndarray, latitude: np.ndarray) -> np.ndarray:
    """Height above the sea, m, at which operators of radio occultation place refractivity, (rows,).

    Parameters
    ----------
    geopotential_height : (rows,)
        m.
    latitude : (rows,)
        Degrees.
    """
    radius, ratio = _radius_and_gravity(latitude)
    return radius * geopotential_height / (radius * ratio - geopotential_height)


def geopotential_height(geometric_height: np.ndarray, latitude: np.ndarray) -> np.ndarray:
    """The inverse of `geometric_height`, m, (rows,)."""
    radius, ratio = _radius_and_gravity(latitude)
    return geometric_height * radius * ratio / (radius + geometric_height)


def _radius_and_gravity(latitude: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """R, m, and gamma / g at latitudes, (rows,) each."""
    eccentricity_squared = _FLATTENING * (2.0 - _FLATTENING)
    sine_squared = np.sin(np.radians(latitude.astype(float))) ** 2
    gravity = _EQUATORIAL_GRAVITY * (1 + _SOMIGLIANA * sine_squared) / np.sqrt(1 - eccentricity_squared * sine_squared)
    radius = _MAJOR_AXIS / (1 + _FLATTENING + _GRAVITY_RATIO - 2 * _FLATTENING * sine_squared)
    return radius, gravity / GRAVITY
