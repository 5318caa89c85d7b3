"""Radio occultations of navigation satellites, in BUFR."""

from __future__ import annotations

from .table import Table


class GnssRo(Table):
    """See `observations.occultations`."""

    name = "gnssro"
    about = (
        "refractivity from GNSS radio occultation in BUFR (WMO's template 3 10 026, or NCEP's `gpsro` files). A "
        "profile that is flagged as not nominal gets NCEP's quality mark 3; one whose refractivity is flagged, or "
        "whose confidence is 0 %, gets 15"
    )
