"""The base of sources of operational analyses: one every six hours, in packed GRIB on a grid of 0.25 degrees."""

from __future__ import annotations

from typing import Any, ClassVar

from ..fields.state import CHANNELS
from .sizes import ERA5_POINTS, GRIB_VALUE
from .source import ArchiveSource

#: hours of the day at which there are analyses
CYCLE_HOURS = 6


class Analyses(ArchiveSource):
    """A source of operational analyses.

    Attributes
    ----------
    analyses : str
        Their name in messages.
    """

    analyses: ClassVar[str]

    @classmethod
    def check(cls, settings: dict[str, Any]) -> None:
        """See `ArchiveSource.check`."""
        if settings["step_hours"] % CYCLE_HOURS:
            raise ValueError(
                f"step_hours: {settings['step_hours']} h is not a multiple of {CYCLE_HOURS} h, and {cls.analyses} "
                f"exist only every {CYCLE_HOURS} h"
            )

    @classmethod
    def bytes_per_time(cls, settings: dict[str, Any], points: int) -> int:
        """The size of all channels, packed."""
        return len(CHANNELS) * ERA5_POINTS * GRIB_VALUE
