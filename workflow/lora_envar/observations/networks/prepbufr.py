"""Reports from NCEP PrepBUFR files."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from ...settings import setting
from ..network import CheckedSettings, Network

TEXT = {"type": "string"}


@dataclass(frozen=True, kw_only=True)
class PrepBufrSettings(CheckedSettings):
    """Settings of `prepbufr`."""

    path: str | None = setting(
        "the file of a cycle, with `%Y`, `%m`, `%d`, `%H` in place of its time; or", default=None, schema=TEXT
    )
    url: str | None = setting("its address, likewise; or", default=None, schema=TEXT)
    stations: str | None = setting(
        "a table of places whose reports are made of the archive, with noise of the error table, and",
        default=None,
        schema=TEXT,
    )
    gross_error_share: float | None = setting(
        "the rate of gross errors of these", default=None, schema={"type": "number", "minimum": 0, "maximum": 1}
    )
    categories: tuple[str, ...] = setting(
        "message categories to read: `ADPUPA`, `ADPSFC`, `SFCSHP`, `AIRCFT`, `AIRCAR`, `PROFLR`, `SATWND`, `ASCATW`, "
        "...; others are skipped before they are decoded",
        schema={
            "type": "array",
            "minItems": 1,
            "uniqueItems": True,
            "items": {"type": "string", "pattern": "^[A-Z]{6}$"},
        },
    )
    reported_errors: bool = setting(
        "take the errors in the reports where they have any; elsewhere, or with `false`, those of the table"
    )
    error_table: str = setting(
        "CSV with `variable`, `pressure` (hPa, empty at the surface), `error` (units of the state)"
    )
    orography: str | None = setting(
        "netCDF file with the height of the model's surface: temperature is brought there by the standard lapse rate, "
        "and stations 200 m off are not used; `null` does neither"
    )


class PrepBufr(Network):
    """See `observations.reports`."""

    name = "prepbufr"
    about = "reports from NCEP PrepBUFR files, one per cycle of 6 h"
    Settings = PrepBufrSettings
    rules: ClassVar[dict[str, Any]] = {
        "oneOf": [{"required": ["path"]}, {"required": ["url"]}, {"required": ["stations", "gross_error_share"]}]
    }
    checked = True

    @classmethod
    def check(cls, settings: dict[str, Any], points: int) -> None:
        """Refuse reports of stations without the height of the surface."""
        if "stations" in settings and not settings["orography"]:
            raise ValueError("orography: reports of stations cannot be made without")

    @classmethod
    def own_files(cls, settings: dict[str, Any], cycle: datetime) -> list[str]:
        """The file of the cycle, where `path` names any."""
        return [cycle.strftime(settings["path"])] if settings.get("path") else []
