"""Files of IODA, JEDI's format for observations."""

from __future__ import annotations

from .table import Table


class Ioda(Table):
    """See `observations.ioda_tables`."""

    name = "ioda"
    about = (
        "IODA files (JEDI's netCDF) with the groups MetaData and ObsValue and, optionally, ObsError, ObsType and "
        "PreQC, which is read as NCEP's quality mark"
    )
