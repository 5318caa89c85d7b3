"""ECMWF's open data: analyses of recent dates, from its servers or a mirror in the cloud."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from ...fields.state import LEVELS, SURFACE, UPPER_AIR
from ...settings import setting
from ..analyses import Analyses

SERVICE = "ECMWF's open data"
#: what is asked for at every time: a request, and how many fields it has
REQUESTS: dict[str, tuple[dict[str, Any], int]] = {
    "surface": ({"levtype": "sfc", "param": ["10u", "10v", "2t", "msl"]}, len(SURFACE)),
    "levels": (
        {"levtype": "pl", "param": ["gh", "q", "u", "v", "t"], "levelist": list(LEVELS)},
        len(UPPER_AIR) * len(LEVELS),
    ),
}


@dataclass(frozen=True)
class EcmwfSettings:
    """Settings of `ecmwf`."""

    path: str = setting(
        "mirror to read from: `aws`, `google` and `azure` keep years, `ecmwf` some days; or the address of another one",
        default="aws",
    )


class Ecmwf(Analyses):
    """Step 0 of the forecasts at 0.25 degrees, in GRIB; only the needed fields of each file are read."""

    name = "ecmwf"
    about = "analyses from ECMWF's open data, every 6 h since 2023"
    Settings = EcmwfSettings
    analyses = "ECMWF's analyses"

    @classmethod
    def fetch(cls, settings: dict[str, Any], times: Sequence[datetime], destination: str) -> None:
        """Write what is available at the needed times to one file."""
        from ecmwf.opendata import Client

        from ...files.atomic import atomic_write
        from ..fetching import naive_times, write_parts
        from ..remote_files import check_grib, tried

        root = settings.get("path") or "aws"
        client = Client(source=root, maximum_retries=1, retry_after=1)

        def fetch_file(time: datetime, target: Path, request: dict[str, Any], fields: int) -> None:
            with atomic_write(target) as temporary:
                client.retrieve(
                    {"date": f"{time:%Y-%m-%d}", "time": time.hour, "step": 0, "type": "fc", **request}, str(temporary)
                )
                check_grib(temporary, fields)

        def fetch_parts(folder: Path) -> Iterator[Path]:
            for time in times:
                for kind, (request, fields) in REQUESTS.items():
                    part = folder / f"{time:%Y%m%dT%H}-{kind}.grib2"
                    if not part.exists():
                        what = f"{root}, {time:%Y-%m-%dT%H}, {kind}"
                        tried(partial(fetch_file, time, part, request, fields), what, SERVICE)
                    yield part

        write_parts(fetch_parts, settings, naive_times(times), destination, f"{SERVICE} ({root})")
