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
        "file of a cycle, with `%Y`, `%m`, `%d` and `%H` standing for its time; give either `path` or `url`, or else "
        "`stations` with `gross_error_share`",
        default=None,
        schema=TEXT,
    )
    url: str | None = setting("address of that file, written in the same way", default=None, schema=TEXT)
    stations: str | None = setting(
        "table of places whose reports are simulated from the archive, with noise from the error table",
        default=None,
        schema=TEXT,
    )
    gross_error_share: float | None = setting(
        "share of simulated data with a gross error",
        default=None,
        schema={"type": "number", "minimum": 0, "maximum": 1},
    )
    categories: tuple[str, ...] = setting(
        "message categories to read: `ADPUPA`, `ADPSFC`, `SFCSHP`, `AIRCFT`, `AIRCAR`, `PROFLR`, `SATWND`, `ASCATW`, "
        "...; other categories are skipped without being decoded",
        schema={
            "type": "array",
            "minItems": 1,
            "uniqueItems": True,
            "items": {"type": "string", "pattern": "^[A-Z]{6}$"},
        },
    )
    reported_errors: bool = setting(
        "use the errors given in the reports where there are any; otherwise, or with `false`, those of the table"
    )
    error_table: str = setting(
        "CSV with `variable`, `pressure` (hPa, empty at the surface) and `error` (units of the state)"
    )
    orography: str | None = setting(
        "netCDF file with the height of the model's surface: temperatures are adjusted to it with the standard lapse "
        "rate, and stations that differ from it by more than 200 m are rejected; `null` does neither"
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
            raise ValueError(
                "orography: the network of stations needs the height of the surface; name a file that has it"
            )

    @classmethod
    def own_files(cls, settings: dict[str, Any], cycle: datetime) -> list[str]:
        """The file of the cycle, if there is a `path`."""
        return [cycle.strftime(settings["path"])] if settings.get("path") else []
