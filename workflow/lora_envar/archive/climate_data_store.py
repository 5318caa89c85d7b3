"""Copernicus Climate Data Store: one request per day and level type; what has arrived is not requested again."""

import os
import time as clock
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..fields.state import LEVELS, SURFACE, UPPER_AIR, VARIABLES
from ..files.atomic import atomic_write
from .fetching import naive_times, unreachable, write_parts
from .opening import SourceError
from .remote_files import check_grib

if TYPE_CHECKING:
    import cdsapi

#: how often a request is made before it is given up
ATTEMPTS = 5
#: dataset -> what is asked for of it
REQUESTS = {
    "reanalysis-era5-single-levels": {"variable": [VARIABLES[name][0] for name in SURFACE]},
    "reanalysis-era5-pressure-levels": {
        "variable": [VARIABLES[name][0] for name in UPPER_AIR],
        "pressure_level": [str(level) for level in LEVELS],
    },
}


def fetch(settings: dict[str, Any], times: Sequence[datetime], destination: str | Path) -> None:
    """See `archive.source.ArchiveSource.fetch`."""
    try:
        import cdsapi

        client = cdsapi.Client(url=settings.get("url"), key=settings.get("key"), quiet=True, progress=False)
    except Exception as error:  # cdsapi raises a bare Exception where it finds no credentials
        reason = _without_key(str(error), settings.get("key"))
        raise SourceError(
            f"Climate Data Store: no client could be created ({reason}). Put url and key into ~/.cdsapirc, or into "
            "CDSAPI_URL and CDSAPI_KEY, and accept the licence of the ERA5 datasets"
        ) from None  # the traceback of the original error, too, would show the key

    def fetch_parts(folder: Path) -> Iterator[Path]:
        for day in sorted({time.date() for time in times}):
            hours = [time for time in times if time.date() == day]
            for dataset, extra in REQUESTS.items():
                request = {
                    "product_type": ["reanalysis"],
                    "year": [f"{day:%Y}"],
                    "month": [f"{day:%m}"],
                    "day": [f"{day:%d}"],
                    "time": [f"{time:%H:%M}" for time in hours],
                    "data_format": "grib",
                    "download_format": "unarchived",
                    **extra,
                }
                target = folder / f"{day:%Y%m%d}-{'-'.join(f'{time:%H}' for time in hours)}-{dataset}.grib"
                if not target.exists():
                    fields = len(hours) * len(extra["variable"]) * len(extra.get("pressure_level", [0]))
                    _retrieve(client, dataset, request, target, fields, settings.get("key"))
                yield target

    write_parts(fetch_parts, {}, naive_times(times), destination, "Climate Data Store")


def _retrieve(
    client: "cdsapi.Client",
    dataset: str,
    request: dict[str, Any],
    target: Path,
    fields: int,
    key: str | None = None,
) -> None:
    """Make one request, and repeat it after growing pauses if it fails; the file appears once it is complete."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with atomic_write(target) as temporary:
                client.retrieve(dataset, request, str(temporary))
                check_grib(temporary, fields)
            return
        except Exception as error:  # cdsapi raises errors of many kinds
            reason = _without_key(f"{type(error).__name__}: {error}", key, getattr(client, "key", None))
            if attempt == ATTEMPTS:
                raise SourceError(unreachable("Climate Data Store", dataset, reason)) from None
            print(f"{dataset}: attempt {attempt} of {ATTEMPTS} failed: {reason}", flush=True)
            clock.sleep(min(2**attempt, 60))


def _without_key(text: str, *keys: str | None) -> str:
    """Remove the key of the Climate Data Store from a text, and both parts of a key of the form user:key."""
    for key in (*keys, os.environ.get("CDSAPI_KEY")):
        for secret in (key, *key.split(":")) if key else ():
            text = text.replace(secret, "***") if len(secret) > 3 else text
    return text
