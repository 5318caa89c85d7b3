"""The interface of a network of observations, by its `source` in the configuration.

A kind of network is a class in a module of a package ``networks/`` of any room; nothing else lists it. Snakemake reads
these modules at every start.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from ..settings import setting

#: hours between the cycles by which reports are kept in files
CYCLE_HOURS = 6


@dataclass(frozen=True)
class QualityOptions:
    """What `quality.select` checks, thins and withholds."""

    largest_quality_mark: int = setting(
        "largest quality mark of NCEP that is accepted; 2 means good or not checked",
        default=2,
        required=True,
        minimum=0,
        maximum=15,
    )
    highest_station: float = setting(
        "greatest elevation of a surface station that is used, in m", default=750.0, required=True
    )
    thinning_km: float | None = setting(
        "size of the cells that keep one datum per type and layer; `null` keeps all data",
        default=None,
        required=True,
        above=0,
    )
    superobbing: bool = setting("whether the datum that is kept is the mean of its cell", default=False, required=True)
    withheld: float = setting(
        "share of the stations that are withheld to verify the analysis; they are drawn anew at every analysis time",
        default=0.15,
        required=True,
        minimum=0,
        schema={"exclusiveMaximum": 1},
    )
    blacklist: tuple[str, ...] = setting(
        "stations that are never used",
        default=(),
        schema={"type": "array", "items": {"type": "string", "maxLength": 8}},
    )


@dataclass(frozen=True, kw_only=True)
class CheckedSettings:
    """Settings of all networks whose observations come from elsewhere."""

    half_window_hours: float = setting(
        "data within this distance of an analysis time (or slot) belong to it", above=0, maximum=CYCLE_HOURS / 2
    )
    quality: QualityOptions = setting("checks that need no background, see below")
    background_check: float = setting(
        "largest accepted magnitude of O - B, divided by the square root of the sum of the observation and background "
        "error variances (the latter from the training set)",
        above=0,
    )
    buddy_check: float = setting(
        "the same limit for the difference from the mean O - B of other stations nearby; it applies to data beyond "
        "half of the background check",
        above=0,
    )
    buddy_distance_km: float = setting("greatest distance of these stations", above=0)
    seed: int = setting("seed of the withheld stations and, where reports are simulated, of their noise", minimum=0)


class Network:
    """A kind of network.

    Attributes
    ----------
    name : str
        `source` of its networks in the configuration.
    about : str
        A description for config/README.md, in Markdown.
    Settings : type
        Dataclass of its settings, see `lora_envar.settings`.
    rules : dict
        JSON schema that its settings must fit in addition.
    checked : bool
        Whether its observations come from elsewhere, and so are checked one by one, against each other and against the
        background, thinned, and in part withheld.
    """

    name: ClassVar[str] = ""
    about: ClassVar[str] = ""
    Settings: ClassVar[type]
    rules: ClassVar[dict[str, Any]] = {}
    checked: ClassVar[bool] = False

    @classmethod
    def check(cls, settings: dict[str, Any], points: int) -> None:
        """Refuse settings that fit the schema but cannot be used.

        Parameters
        ----------
        points : int
            Number of points of the configured grid.

        Raises
        ------
        ValueError
            The message begins with the key.
        """

    @classmethod
    def own_files(cls, settings: dict[str, Any], cycle: datetime) -> list[str]:
        """The files that a user brings for a cycle of 6 h, with data from 3 h before to 3 h after it."""
        return []
