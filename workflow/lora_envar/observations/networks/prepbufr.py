"""Reports from NCEP PrepBUFR files."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ..network import Network


class PrepBufr(Network):
    """See `observations.reports`."""

    name = "prepbufr"
    checked = True

    @classmethod
    def own_files(cls, settings: dict[str, Any], cycle: datetime) -> list[str]:
        return [cycle.strftime(settings["path"])] if settings.get("path") else []
