"""Observation spaces: the families of reports that JEDI keeps in a file each, since an operator works on one of them.

Their names, and the types of reports in each, are those of the converter of GSI's diagnostics (src/gsi-ncdiag in
https://github.com/JCSDA-internal/ioda-converters): of NCEP's types, 1xx are masses and 2xx winds.
"""

import numpy as np

from ..observations.catalogue import at_surface, by_code
from ..observations.table import Observations

#: radio occultation; where its data lie is said by their height above the sea
GNSSRO = "gnssro"
#: of data without a type of report, as simulated ones
SURFACE = "surface"
UPPER_AIR = "upper_air"

#: observation space -> last two digits of the types of its reports
_REPORTS: dict[str, tuple[int, ...]] = {
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
_SPACE_OF_REPORT = {
    100 * family + digits: space for space, ends in _REPORTS.items() for digits in ends for family in (1, 2)
}
_OF_TYPE = by_code(lambda kind: (kind.ioda and kind.ioda.obs_space) or "", "")


def observation_spaces(table: Observations) -> dict[str, np.ndarray]:
    """The rows of each observation space that has data, by its name.

    A type of observation that has one to itself says so (`IodaVariable.obs_space`); else the type of the report
    decides. Data without one, or of one that has no family, go to `surface` or `upper_air`.

    Returns
    -------
    dict
        Name -> (rows,), in the order of the names.
    """
    spaces = np.where(at_surface(table.variable), SURFACE, UPPER_AIR).astype(object)
    for code in np.unique(table.report_type):
        if space := _SPACE_OF_REPORT.get(int(code)):
            spaces[table.report_type == code] = space
    own = _OF_TYPE[table.variable]
    spaces[own != ""] = own[own != ""]
    return {str(space): np.flatnonzero(spaces == space) for space in sorted(set(spaces))}
