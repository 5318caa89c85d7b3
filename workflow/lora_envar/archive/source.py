"""The interface of a source of a reanalysis: it writes the data of a block of times to one file.

A source is a class in a module of a package ``sources/`` of any room; nothing else lists it. See docs/extending.md.
Snakemake imports these modules at every start, so xarray is imported only where something is fetched.
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
    """Settings of sources without any."""


class ArchiveSource(ABC):
    """Where a reanalysis comes from.

    Attributes
    ----------
    name : str
        `archive.source` in the configuration.
    about : str
        A description for config/README.md, in Markdown.
    Settings : type
        Dataclass of its own keys, in addition to those of all sources, see `lora_envar.settings`.
    derived : bool
        Whether its states are made from those of another source, which its setting `of` names; the keys of that source
        then stand beside its own.
    """

    name: ClassVar[str] = ""
    about: ClassVar[str] = ""
    Settings: ClassVar[type] = NoSettings
    derived: ClassVar[bool] = False

    @classmethod  # noqa: B027  most sources have nothing to refuse
    def check(cls, settings: dict[str, Any]) -> None:
        """Refuse settings that fit the schema but cannot be used.

        Parameters
        ----------
        settings : dict
            A section `archive` whose own times have been checked.

        Raises
        ------
        ValueError
            The message begins with the key.
        """

    @classmethod
    def named_files(cls, settings: dict[str, Any]) -> dict[str, str]:
        """The files and folders that a user brings, by the keys of the section that name them."""
        return {key: settings[key] for key in files_of(cls.Settings) if settings.get(key)}

    @classmethod
    @abstractmethod
    def fetch(cls, settings: dict[str, Any], times: Sequence[datetime], destination: str) -> None:
        """Write the data of the needed times.

        Parameters
        ----------
        settings : dict
            The configuration's section `archive`, without the keys that only say which states there are.
        times : sequence of datetime
            Valid times that are needed.
        destination : path
            A netCDF file, which appears when everything has arrived and has been checked.

        Raises
        ------
        SourceError
            If something is missing, or the source cannot be reached.
        """

    @classmethod
    def bytes_per_time(cls, settings: dict[str, Any], points: int) -> int:
        """The number of bytes downloaded per time; 0 if there is no download.

        Parameters
        ----------
        points : int
            Number of points of the configured grid, for stores on a coarser grid than that of ERA5.
        """
        return 0
