"""Analyses of NCEP's Global Forecast System, on object storage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ...fields.state import LEVELS
from ...settings import setting
from ..analyses import Analyses

BUCKET = "https://noaa-gfs-bdp-pds.s3.amazonaws.com"
SERVICE = "the GFS"
#: variable and level of the wanted messages, as the index has them
MESSAGES = {
    "PRMSL:mean sea level",
    "TMP:2 m above ground",
    "UGRD:10 m above ground",
    "VGRD:10 m above ground",
    *(f"{name}:{level} mb" for name in ("HGT", "TMP", "SPFH", "UGRD", "VGRD") for level in LEVELS),
}


@dataclass(frozen=True)
class GfsSettings:
    """Settings of `gfs`."""

    path: str = setting("address of another mirror with the same layout", default=BUCKET)


class Gfs(Analyses):
    """Hour 0 of the forecasts at 0.25 degrees, in GRIB; only the needed messages of each file are read."""

    name = "gfs"
    about = "analyses of NCEP's GFS on object storage, every 6 h since 2021"
    Settings = GfsSettings
    analyses = "analyses of the GFS"

    @classmethod
    def fetch(cls, settings: dict[str, Any], times: Sequence[datetime], destination: str) -> None:
        """Write what is available at the needed times to one file."""
        from ..fetching import naive_times, write_parts
        from ..remote_files import fetch_messages

        root = (settings.get("path") or BUCKET).rstrip("/")

        def fetch_parts(folder: Path) -> Iterator[Path]:
            for time in times:
                part = folder / f"{time:%Y%m%dT%H}.grib2"
                if not part.exists():
                    name = f"gfs.{time:%Y%m%d}/{time:%H}/atmos/gfs.t{time:%H}z.pgrb2.0p25.f000"
                    fetch_messages(f"{root}/{name}", MESSAGES.__contains__, part, SERVICE)
                yield part

        write_parts(fetch_parts, settings, naive_times(times), destination, root)
