"""Variables of the state above the surface."""

import numpy as np

from ...fields.constants import GRAVITY
from ..observation_type import IodaVariable, StateVariable
from ..standard_atmosphere import standard_geopotential


class Geopotential(StateVariable):
    """Geopotential at a pressure."""

    name = "z"
    code = 4
    limits = (-1.2e4, 1.2e4)
    # the stratosphere of the example's world is lower than ours by 0.4 of the width of the limits
    margin = 1.0
    shown_levels = (500,)
    ioda = IodaVariable("geopotentialHeight", "m", factor=1.0 / GRAVITY)

    def limited(self, value: np.ndarray, pressure: np.ndarray) -> np.ndarray:
        """The difference from the standard atmosphere."""
        return value - standard_geopotential(pressure)


class SpecificHumidity(StateVariable):
    """Specific humidity."""

    name = "q"
    code = 5
    limits = (0.0, 0.04)
    shown_levels = (700,)
    shown_units = ("g kg-1", 1e3)
    ioda = IodaVariable("specificHumidity", "kg kg-1")


class EastwardWind(StateVariable):
    """Eastward component of the wind."""

    name = "u"
    code = 6
    limits = (-150.0, 150.0)
    vector = "wind"
    shown_levels = (250, 500)
    ioda = IodaVariable("windEastward", "m s-1")


class NorthwardWind(StateVariable):
    """Northward component of the wind."""

    name = "v"
    code = 7
    limits = (-150.0, 150.0)
    vector = "wind"
    shown_levels = (500,)
    ioda = IodaVariable("windNorthward", "m s-1")


class Temperature(StateVariable):
    """Temperature."""

    name = "t"
    code = 8
    limits = (150.0, 335.0)
    shown_levels = (500, 850)
    ioda = IodaVariable("airTemperature", "K")
