"""ERA5 on NSF NCAR's object storage: netCDF by variable, one file per day on pressure levels, else one per month."""

from __future__ import annotations

import calendar
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from ...fields.state import LEVELS, SURFACE, UPPER_AIR
from ...settings import setting
from ..sizes import ERA5_POINTS, FLOAT
from ..source import ArchiveSource

BUCKET = "https://nsf-ncar-era5.s3.amazonaws.com"
#: levels in one chunk of its files, which is read whole: all of ERA5's
ALL_LEVELS = 37
#: short name -> table, number and name of the parameter, and the kind of grid, as names of files have them
PARAMETERS = {
    "u10": "128_165_10u.ll025sc",
    "v10": "128_166_10v.ll025sc",
    "t2m": "128_167_2t.ll025sc",
    "msl": "128_151_msl.ll025sc",
    "z": "128_129_z.ll025sc",
    "q": "128_133_q.ll025sc",
    "u": "128_131_u.ll025uv",
    "v": "128_132_v.ll025uv",
    "t": "128_130_t.ll025sc",
}


@dataclass(frozen=True)
class NcarSettings:
    """Settings of `ncar`."""

    path: str = setting("address of another mirror, or a folder with the same layout", default=BUCKET)


def file_of(short: str, day: date) -> str:
    """The file with a variable on a day: that of the day on pressure levels, that of the month near the surface."""
    month = f"{day:%Y%m}"
    if short in SURFACE:
        last = calendar.monthrange(day.year, day.month)[1]
        return f"e5.oper.an.sfc/{month}/e5.oper.an.sfc.{PARAMETERS[short]}.{month}0100_{month}{last}23.nc"
    return f"e5.oper.an.pl/{month}/e5.oper.an.pl.{PARAMETERS[short]}.{day:%Y%m%d}00_{day:%Y%m%d}23.nc"


class Ncar(ArchiveSource):
    """Only the chunks of the needed times are read from its files."""

    name = "ncar"
    about = "ERA5 on NSF NCAR's public object storage (d633000); no key is needed"
    Settings = NcarSettings

    @classmethod
    def bytes_per_time(cls, settings: dict[str, Any], points: int) -> int:
        """The size of all levels at a time before compression, which at least halves it."""
        return (len(SURFACE) + len(UPPER_AIR) * ALL_LEVELS) * ERA5_POINTS * FLOAT // 2

    @classmethod
    def fetch(cls, settings: dict[str, Any], times: Sequence[datetime], destination: str) -> None:
        """Write what its files have at the needed times to one file."""
        from ..fetching import naive_times, write_parts
        from ..remote_files import fetch_part

        root = (settings.get("path") or BUCKET).rstrip("/")
        wanted = naive_times(times)
        by_file: dict[str, list[Any]] = {}
        for short in PARAMETERS:
            for time, stamp in zip(times, wanted, strict=True):
                by_file.setdefault(file_of(short, time.date()), []).append(stamp)

        def fetch_parts(folder: Path) -> Iterator[Path]:
            for name, stamps in by_file.items():
                part = folder / name.rpartition("/")[2]
                levels = {"level": list(LEVELS)} if ".an.pl." in name else {}
                if not part.exists():
                    fetch_part(f"{root}/{name}", {"time": stamps, **levels}, part, "NSF NCAR's ERA5")
                yield part

        write_parts(fetch_parts, settings, wanted, destination, root)
