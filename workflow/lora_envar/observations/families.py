"""Families of reports by NCEP's report types, under their names in JEDI and their common names.

Of NCEP's types, 1xx are masses and 2xx winds. JEDI's names, and the types of reports in each, are those of the
converter of GSI's diagnostics (src/gsi-ncdiag in https://github.com/JCSDA-internal/ioda-converters).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from .catalogue import CODES

if TYPE_CHECKING:
    from .table import Observations

#: JEDI's name -> last two digits of the types of its reports
_DIGITS: dict[str, tuple[int, ...]] = {
    "sondes": (20, 21, 22, 32),
    "vadwind": (24,),
    "rass": (26,),
    "windprof": (27, 28, 29),
    "aircraft": (30, 31, 33, 34, 35),
    "satwind": tuple(range(40, 61)),
    "sfcship": (80, 82, 83, 84),
    "sfc": (81, 87, 88, 92, 93, 94, 95),
    "scatwind": (90,),
}
#: type of report -> JEDI's name of its family
SPACE_OF_REPORT = {100 * kind + digits: space for space, ends in _DIGITS.items() for digits in ends for kind in (1, 2)}
#: the name that people use -> JEDI's
FAMILIES: dict[str, tuple[str, ...]] = {
    "soundings": ("sondes",),
    "profilers": ("vadwind", "rass", "windprof"),
    "aircraft": ("aircraft",),
    "satellite_winds": ("satwind",),
    "ships_and_buoys": ("sfcship",),
    "land_stations": ("sfc",),
    "scatterometers": ("scatwind",),
}


def known_groups() -> list[str]:
    """The names of data that may be denied: families of reports, and types of observations."""
    return [*FAMILIES, *CODES]


def rows_of(table: Observations, groups: Iterable[str]) -> np.ndarray:
    """Which rows of a table belong to families of reports or to types of observations, (rows,) of bool.

    Parameters
    ----------
    groups : iterable of str
        Names of `known_groups`.
    """
    chosen = np.zeros(len(table), dtype=bool)
    for name in groups:
        if name in FAMILIES:
            types = [code for code, space in SPACE_OF_REPORT.items() if space in FAMILIES[name]]
            chosen |= np.isin(table.report_type, types)
        else:
            chosen |= table.variable == CODES[name]
    return chosen
