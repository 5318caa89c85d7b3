"""Copernicus Climate Data Store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ...fields.state import CHANNELS
from ...settings import setting
from ..sizes import ERA5_POINTS, GRIB_VALUE
from ..source import ArchiveSource


@dataclass(frozen=True)
class ClimateDataStoreSettings:
    """Settings of `cds`."""

    url: str | None = setting(
        "address, if neither `~/.cdsapirc` nor `CDSAPI_URL` gives it; the key comes from `~/.cdsapirc` or `CDSAPI_KEY`",
        default=None,
        schema={"type": "string"},
    )


class ClimateDataStore(ArchiveSource):
    """See `archive.climate_data_store`."""

    name = "cds"
    about = "the Climate Data Store (CDS)"
    Settings = ClimateDataStoreSettings

    @classmethod
    def bytes_per_time(cls, settings: dict[str, Any], points: int) -> int:
        """All channels, packed, on ERA5's own grid."""
        return len(CHANNELS) * ERA5_POINTS * GRIB_VALUE

    @classmethod
    def fetch(cls, settings: dict[str, Any], times: Sequence[datetime], destination: str) -> None:
        """Write what the service sends for the needed times to one file."""
        from ..climate_data_store import fetch

        fetch(settings, times, destination)
