"""Copernicus Climate Data Store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ...fields.state import CHANNELS
from ..sizes import ERA5_POINTS, GRIB_VALUE
from ..source import ArchiveSource


class ClimateDataStore(ArchiveSource):
    """See `archive.climate_data_store`."""

    name = "cds"
    about = "Climate Data Store"

    @classmethod
    def bytes_per_time(cls, settings: dict[str, Any], points: int) -> int:
        return len(CHANNELS) * ERA5_POINTS * GRIB_VALUE

    @classmethod
    def fetch(cls, settings: dict[str, Any], times: Sequence[datetime], destination: str) -> None:
        from ..climate_data_store import fetch

        fetch(settings, times, destination)
