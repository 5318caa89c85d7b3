"""What a network of observations is, by its `source` in the configuration.

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
        "NCEP's; 2 is good or not checked", default=2, required=True, minimum=0, maximum=15
    )
    highest_station: float = setting("m, of surface reports", default=750.0, required=True)
    thinning_km: float | None = setting(
        "one datum per type, layer and cell of this size; `null` keeps all", default=None, required=True, above=0
    )
    superobbing: bool = setting("whether that one is the mean of its cell", default=False, required=True)
    withheld: float = setting(
        "share of the stations that are kept to judge the analysis, drawn afresh at every time",
        default=0.15,
        required=True,
        minimum=0,
        schema={"exclusiveMaximum": 1},
    )
    blacklist: tuple[str, ...] = setting(
        "stations that are not used",
        default=(),
        schema={"type": "array", "items": {"type": "string", "maxLength": 8}},
    )


@dataclass(frozen=True, kw_only=True)
class CheckedSettings:
    """Settings of all networks whose observations are data of others."""

    half_window_hours: float = setting(
        "data within this of an analysis time (or slot) are its", above=0, maximum=CYCLE_HOURS / 2
    )
    quality: QualityOptions = setting("checks of the data by themselves, below")
    background_check: float = setting(
        "largest O - B over the square root of the sum of the observation's and the background's error variance (the "
        "latter that of the training set)",
        above=0,
    )
    buddy_check: float = setting(
        "the same of the difference to the mean O - B of other stations nearby, for data that are beyond half of the "
        "background check",
        above=0,
    )
    buddy_distance_km: float = setting("how far these may be", above=0)
    seed: int = setting("of the stations withheld (and of noise)", minimum=0)


class Network:
    """A kind of network.

    Attributes
    ----------
    name : str
        `source` of its networks in the configuration.
    about : str
        What it is, for config/README.md, as Markdown.
    Settings : type
        Dataclass of its settings, see `lora_envar.settings`.
    rules : dict
        JSON schema that its settings must fit besides.
    checked : bool
        Whether its observations are data of others: decoded, checked one by one, against each other and against the
        background, thinned, and in part withheld.
    """

    name: ClassVar[str] = ""
    about: ClassVar[str] = ""
    Settings: ClassVar[type]
    rules: ClassVar[dict[str, Any]] = {}
    checked: ClassVar[bool] = False

    @classmethod
    def check(cls, settings: dict[str, Any], points: int) -> None:
        """Refuse settings that fit the schema and yet cannot be used.

        Parameters
        ----------
        points : int
            Of the configured grid.

        Raises
        ------
        ValueError
            Its message begins with the key.
        """

    @classmethod
    def own_files(cls, settings: dict[str, Any], cycle: datetime) -> list[str]:
        """Files that a user brings for a cycle of 6 h, with data from 3 h before to 3 h after it."""
        return []
