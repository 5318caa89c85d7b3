"""Radio occultations of navigation satellites, in BUFR."""

from __future__ import annotations

from .table import Table


class GnssRo(Table):
    """See `observations.occultations`."""

    name = "gnssro"
    about = (
        "refractivity of GNSS radio occultation, in BUFR (WMO's template 3 10 026, or NCEP's `gpsro` files); a profile "
        "that is flagged as not nominal has NCEP's quality mark 3, one whose refractivity is, or of no confidence, 15"
    )
