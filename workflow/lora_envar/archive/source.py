"""What a source of a reanalysis is: it writes what it gets for a block of times to one file.

A source is a class in a module of a package ``sources/`` of any room; nothing else lists it. See docs/extending.md.
Snakemake reads these modules at every start: xarray is imported where something is fetched.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from ..settings import files_of


@dataclass(frozen=True)
class NoSettings:
    """Settings of sources that have none."""


class ArchiveSource(ABC):
    """Where a reanalysis comes from.

    Attributes
    ----------
    name : str
        `archive.source` in the configuration.
    about : str
        What it is, for config/README.md, as Markdown.
    Settings : type
        Dataclass of its keys beside those that all sources have, see `lora_envar.settings`.
    derived : bool
        Whether its states are made from those of another source, which its setting `of` names; the keys of that one
        then stand beside its own.
    """

    name: ClassVar[str] = ""
    about: ClassVar[str] = ""
    Settings: ClassVar[type] = NoSettings
    derived: ClassVar[bool] = False

    @classmethod  # noqa: B027  most sources have nothing to refuse
    def check(cls, settings: dict[str, Any]) -> None:
        """Refuse settings that fit the schema and yet cannot be used.

        Parameters
        ----------
        settings : dict
            A section `archive` whose own times have been checked.

        Raises
        ------
        ValueError
            Its message begins with the key.
        """

    @classmethod
    def named_files(cls, settings: dict[str, Any]) -> dict[str, str]:
        """Files and folders that a user brings, by the keys of the section that name them."""
        return {key: settings[key] for key in files_of(cls.Settings) if settings.get(key)}

    @classmethod
    @abstractmethod
    def fetch(cls, settings: dict[str, Any], times: Sequence[datetime], destination: str) -> None:
        """Write what there is of the wanted times.

        Parameters
        ----------
        settings : dict
            The configuration's section `archive`, without what says only which states there are.
        times : sequence of datetime
            Valid times wanted.
        destination : path
            A netCDF file that appears when all of it has arrived and has been checked.

        Raises
        ------
        SourceError
            If something is missing, or the source cannot be reached.
        """

    @classmethod
    def bytes_per_time(cls, settings: dict[str, Any], points: int) -> int:
        """What is downloaded for one time; 0 where nothing is.

        Parameters
        ----------
        points : int
            Of the configured grid, for stores on a coarser grid than ERA5's own.
        """
        return 0
