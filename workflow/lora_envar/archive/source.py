"""What a source of a reanalysis is: it writes what it gets for a block of times to one file.

A source is a class in a module of a package ``sources/`` of any room; nothing else lists it. See docs/extending.md.
Snakemake reads these modules at every start: xarray is imported where something is fetched.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar


class ArchiveSource(ABC):
    """Where a reanalysis comes from.

    Attributes
    ----------
    name : str
        `archive.source` in the configuration.
    about : str
        What it is, for config/README.md, as Markdown.
    path : str or None
        What `archive.path` is with this source, for config/README.md; None where there is no such key.
    brought : bool
        Whether the path is a file or folder that a user brings, and must be given.
    """

    name: ClassVar[str] = ""
    about: ClassVar[str] = ""
    path: ClassVar[str | None] = None
    brought: ClassVar[bool] = False

    @classmethod
    @abstractmethod
    def fetch(cls, settings: dict[str, Any], times: Sequence[datetime], destination: str) -> None:
        """Write what there is of the wanted times.

        Parameters
        ----------
        settings : dict
            The configuration's section `archive`.
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
