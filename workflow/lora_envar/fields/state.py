"""The 69-channel state: variables, pressure levels, units, and their order.

The order is that of FengWu (arXiv 2304.02948): four surface variables, then five upper-air variables on thirteen
pressure levels each, so that z500 is channel 11, q500 24, u500 37, v500 50 and t850 66, counting from 0.
"""

from dataclasses import dataclass

#: Pressure levels in hPa, from the top down.
LEVELS = (50, 100, 150, 200, 250, 300, 400, 500, 600, 700, 850, 925, 1000)

#: Short name -> (long name as in WeatherBench, CF standard name, units)
VARIABLES = {
    "u10": ("10m_u_component_of_wind", "eastward_wind", "m s-1"),
    "v10": ("10m_v_component_of_wind", "northward_wind", "m s-1"),
    "t2m": ("2m_temperature", "air_temperature", "K"),
    "msl": ("mean_sea_level_pressure", "air_pressure_at_mean_sea_level", "Pa"),
    "z": ("geopotential", "geopotential", "m2 s-2"),
    "q": ("specific_humidity", "specific_humidity", "kg kg-1"),
    "u": ("u_component_of_wind", "eastward_wind", "m s-1"),
    "v": ("v_component_of_wind", "northward_wind", "m s-1"),
    "t": ("temperature", "air_temperature", "K"),
}
SURFACE = ("u10", "v10", "t2m", "msl")
UPPER_AIR = ("z", "q", "u", "v", "t")

#: Channels of each variable group, in the order of the state.
GROUPS = (len(SURFACE),) + (len(LEVELS),) * len(UPPER_AIR)

#: Variables in which errors of the state are least correlated, see `background.genbe`, in the order of their channels.
CONTROL_VARIABLES = ("psi", "chi", "mass", "humidity")

#: The variables by which systems are compared.
HEADLINE = ("z500", "t500", "t850", "u500", "v500", "u10", "v10", "t2m", "q700", "msl")


@dataclass(frozen=True)
class Channel:
    """One horizontal field of the state.

    Attributes
    ----------
    variable : str
        Short name, a key of `VARIABLES`.
    level : int or None
        Pressure in hPa; None at the surface.
    """

    variable: str
    level: int | None = None

    @property
    def name(self) -> str:
        """``t2m`` or ``z500``."""
        return self.variable if self.level is None else f"{self.variable}{self.level}"

    @property
    def units(self) -> str:
        """As CF writes them: ``m s-1``."""
        return VARIABLES[self.variable][2]


CHANNELS = tuple(Channel(name) for name in SURFACE) + tuple(
    Channel(name, level) for name in UPPER_AIR for level in LEVELS
)
NAMES = tuple(channel.name for channel in CHANNELS)
#: index of the level of every channel; the surface counts as the lowest
LEVEL_OF_CHANNEL = tuple(LEVELS.index(channel.level or LEVELS[-1]) for channel in CHANNELS)
_INDEX = {name: index for index, name in enumerate(NAMES)}


def channel_index(name: str) -> int:
    """Position of a channel in the state, counting from 0.

    Raises
    ------
    KeyError
        If the state has no such channel.
    """
    if name not in _INDEX:
        raise KeyError(f"the state has no channel {name!r}; it has {', '.join(NAMES)}")
    return _INDEX[name]
