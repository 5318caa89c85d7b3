"""Observation spaces: families of reports that JEDI keeps in one file each, since an operator works on one of them."""

import numpy as np

from ..observations.catalogue import at_surface, by_code
from ..observations.families import SPACE_OF_REPORT
from ..observations.table import Observations

#: radio occultation; where its data lie is said by their height above the sea
GNSSRO = "gnssro"
#: of data without a type of report, as simulated ones
SURFACE = "surface"
UPPER_AIR = "upper_air"

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
        if space := SPACE_OF_REPORT.get(int(code)):
            spaces[table.report_type == code] = space
    own = _OF_TYPE[table.variable]
    spaces[own != ""] = own[own != ""]
    return {str(space): np.flatnonzero(spaces == space) for space in sorted(set(spaces))}
