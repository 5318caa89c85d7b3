"""Files of IODA, JEDI's form of observations."""

from __future__ import annotations

from .table import Table


class Ioda(Table):
    """See `observations.ioda_tables`."""

    name = "ioda"
    about = (
        "files of IODA (JEDI's netCDF: groups MetaData, ObsValue, and, where there are any, ObsError, ObsType and "
        "PreQC, which counts as NCEP's quality mark)"
    )
