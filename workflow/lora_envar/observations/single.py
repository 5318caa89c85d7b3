"""A single observation that shows a background error: what is observed, where, and how far from the background.

Written as ``z500@45N,30W+100``: a variable of the state with a pressure in hPa, or one of the surface alone; latitude
and longitude in degrees; and O - B, in the units of the variable, which is one observation error where nothing is said.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from math import log
from typing import TYPE_CHECKING

import numpy as np

from ..fields.state import LEVELS, SURFACE, UPPER_AIR, VARIABLES
from .catalogue import CODES

if TYPE_CHECKING:
    from .table import Observations

#: examples of what is right, for errors
EXAMPLE = "write it as z500@45N,30W+100 or t2m@30S,120E-1.5"

_NUMBER = r"\d+(?:\.\d+)?"
_VARIABLE = re.compile(rf"([a-z]+)({_NUMBER})")
_PLACE = re.compile(rf"({_NUMBER})([NS]),({_NUMBER})([EW])(.*)", re.IGNORECASE)
_DEPARTURE = re.compile(rf"[+-]{_NUMBER}(?:e[+-]?\d+)?", re.IGNORECASE)


@dataclass(frozen=True)
class SingleObservation:
    """One observation.

    Attributes
    ----------
    variable : str
        A variable of the state.
    pressure : float or None
        In hPa; None at the surface.
    latitude, longitude : float
        In degrees, northward, and eastward from 0 to 360.
    departure : float or None
        O - B, in the units of the variable; None is one observation error.
    """

    variable: str
    pressure: float | None
    latitude: float
    longitude: float
    departure: float | None = None

    def __str__(self) -> str:
        """The observation as a user writes it."""
        departure = "" if self.departure is None else f"{self.departure:+.12g}"
        return f"{self.what}@{self.where.replace(' ', ',')}{departure}"

    @property
    def what(self) -> str:
        """``z500`` or ``t2m``."""
        return self.variable if self.pressure is None else f"{self.variable}{self.pressure:.12g}"

    @property
    def where(self) -> str:
        """``45N 30W``."""
        east = self.longitude if self.longitude <= 180.0 else 360.0 - self.longitude
        side = "E" if self.longitude <= 180.0 else "W"
        return f"{abs(self.latitude):.12g}{'N' if self.latitude >= 0.0 else 'S'} {east:.12g}{side}"

    @property
    def name(self) -> str:
        """The name in files: ``z500_45N_30W``."""
        return f"{self.what}_{self.where}".replace(" ", "_")

    @property
    def units(self) -> str:
        """Units of value, error and departure."""
        return VARIABLES[self.variable][2]

    @cached_property
    def level(self) -> int:
        """The level of the state, in hPa, that is nearest in log pressure; the surface counts as the lowest."""
        pressure = self.pressure or LEVELS[-1]
        return min(LEVELS, key=lambda level: abs(log(level / pressure)))

    @property
    def channel(self) -> str:
        """The channel of the state that is observed, or nearest to it."""
        return self.variable if self.pressure is None else f"{self.variable}{self.level}"

    def table(self, hours: int, value: float = 0.0, error: float = 1.0) -> Observations:
        """The table of this observation alone, valid at `hours` since 1970."""
        return self.at(np.array([self.latitude]), np.array([self.longitude]), hours, value, error)

    def at(
        self, latitude: np.ndarray, longitude: np.ndarray, hours: int = 0, value: float = 0.0, error: float = 1.0
    ) -> Observations:
        """A table of the same variable and pressure at other places, (rows,), in degrees."""
        from .table import Observations  # Snakemake reads this module at every start, which netCDF would slow down

        rows = len(latitude)
        return Observations.build(
            variable=np.full(rows, CODES[self.variable]),
            pressure=np.full(rows, np.nan if self.pressure is None else self.pressure),
            latitude=latitude,
            longitude=longitude,
            time=np.full(rows, hours),
            value=np.full(rows, value),
            error=np.full(rows, error),
        )


def parse_single(text: str) -> SingleObservation:
    """Read an observation as a user writes it.

    Raises
    ------
    ValueError
        If it cannot be read; the message says what was found, and shows an example.
    """
    what, at, rest = text.partition("@")
    if not at:
        raise ValueError(f"{text!r} has no @ between the variable and the place; {EXAMPLE}")
    place = _PLACE.fullmatch(rest)
    if not place:
        raise ValueError(
            f"{text!r}: {rest!r} is not a place; give a latitude with N or S and a longitude with E or W; {EXAMPLE}"
        )
    variable, pressure = _variable(text, what)
    latitude = float(place[1])
    longitude = float(place[3])
    if latitude > 90.0:
        raise ValueError(f"{text!r}: the latitude {place[1]} is beyond the poles; {EXAMPLE}")
    if longitude > 360.0:
        raise ValueError(f"{text!r}: the longitude {place[3]} is more than a full circle; {EXAMPLE}")
    south = place[2].upper() == "S"
    west = place[4].upper() == "W"
    eastward = (-longitude if west else longitude) % 360.0
    return SingleObservation(variable, pressure, -latitude if south else latitude, eastward, _departure(text, place[5]))


def _variable(text: str, what: str) -> tuple[str, float | None]:
    """Variable and pressure."""
    if what in SURFACE:
        return what, None
    found = _VARIABLE.fullmatch(what)
    if not found or found[1] not in UPPER_AIR:
        raise ValueError(
            f"{text!r}: {what!r} is not a variable of the state; it has {', '.join(SURFACE)} and, with a pressure in "
            f"hPa, {', '.join(UPPER_AIR)}; {EXAMPLE}"
        )
    pressure = float(found[2])
    if not LEVELS[0] <= pressure <= LEVELS[-1]:
        raise ValueError(
            f"{text!r}: {found[2]} hPa is outside the levels of the state, {LEVELS[0]} to {LEVELS[-1]} hPa; {EXAMPLE}"
        )
    return found[1], pressure


def _departure(text: str, given: str) -> float | None:
    """O - B; None if none is given."""
    if not given:
        return None
    if not _DEPARTURE.fullmatch(given):
        raise ValueError(f"{text!r}: {given!r} is not a departure; give a number with its sign; {EXAMPLE}")
    if float(given) == 0.0:
        raise ValueError(f"{text!r}: a departure of zero makes no increment; {EXAMPLE}")
    return float(given)


def assumed_error(table: Observations, observation: SingleObservation) -> float | None:
    """The observation error that a network assumes: the median of its data of the variable; None where it has none.

    The data are those of one level of the state, of the levels that have data that which is nearest to the observation;
    all of them count, whatever became of them. At the surface they are all of the variable.
    """
    rows = table.variable == CODES[observation.variable]
    if not rows.any():
        return None
    errors = table.error[rows].astype(float)
    if observation.pressure is None:
        return float(np.median(errors))
    levels = np.log(LEVELS)
    owner = np.abs(np.log(table.pressure[rows].astype(float))[:, None] - levels).argmin(axis=1)
    occupied = np.unique(owner)
    nearest = occupied[np.abs(levels[occupied] - log(observation.pressure)).argmin()]
    return float(np.median(errors[owner == nearest]))
