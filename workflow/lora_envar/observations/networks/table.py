"""Any table of observations that a user brings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ...settings import setting
from ..network import CYCLE_HOURS, CheckedSettings, Network


@dataclass(frozen=True, kw_only=True)
class TableSettings(CheckedSettings):
    """Settings of `table`."""

    path: str = setting(
        "one file with all data, or one per day or per 6 h cycle, with `%Y`, `%m`, `%d` and `%H` standing for the time"
    )
    error_table: str | None = setting(
        "CSV with `variable`, `pressure` (hPa, empty at the surface) and `error`, for data without an error; if it is "
        "not given, types that are not state variables use an error of their own",
        default=None,
    )


class Table(Network):
    """See `observations.brought_tables`."""

    name = "table"
    about = (
        "tables in CSV or Parquet with the columns `variable` (a state variable, or `refractivity`), `value`, "
        "`latitude`, `longitude`, `time` (ISO 8601, UTC) and, above the surface, `pressure` (hPa) or `height` (m); the "
        "columns `error`, `station`, `type` (a number) and `elevation` (m) are optional"
    )
    Settings = TableSettings
    checked = True

    @classmethod
    def own_files(cls, settings: dict[str, Any], cycle: datetime) -> list[str]:
        """The file of the cycle, those of the days that it overlaps, or the only one."""
        pattern = settings["path"]
        if "%H" in pattern:
            return [cycle.strftime(pattern)]
        half = timedelta(hours=CYCLE_HOURS / 2)
        ends = (cycle - half, cycle + half - timedelta(seconds=1))
        return list(dict.fromkeys(end.strftime(pattern) for end in ends))
