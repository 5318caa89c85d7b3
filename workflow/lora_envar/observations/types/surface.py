"""Variables of the state at the surface."""

from ..observation_type import IodaVariable, StateVariable


class EastwardWind10m(StateVariable):
    """Eastward component of the wind at 10 m."""

    name = "u10"
    code = 0
    limits = (-80.0, 80.0)
    vector = "wind_10m"
    shown_levels = (0,)
    ioda = IodaVariable("windEastwardAt10M", "m s-1")


class NorthwardWind10m(StateVariable):
    """Northward component of the wind at 10 m."""

    name = "v10"
    code = 1
    limits = (-80.0, 80.0)
    vector = "wind_10m"
    shown_levels = (0,)
    ioda = IodaVariable("windNorthwardAt10M", "m s-1")


class Temperature2m(StateVariable):
    """Temperature at 2 m."""

    name = "t2m"
    code = 2
    limits = (180.0, 335.0)
    shown_levels = (0,)
    ioda = IodaVariable("airTemperatureAt2M", "K")


class SeaLevelPressure(StateVariable):
    """Pressure reduced to the mean sea level."""

    name = "msl"
    code = 3
    limits = (8.7e4, 1.09e5)
    shown_levels = (0,)
    shown_units = ("hPa", 1e-2)
    ioda = IodaVariable("pressureReducedToMeanSeaLevel", "Pa")
