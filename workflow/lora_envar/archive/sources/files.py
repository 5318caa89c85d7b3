"""A folder of GRIB and netCDF files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ...settings import setting
from ..source import ArchiveSource


@dataclass(frozen=True)
class FilesSettings:
    """Settings of `files`."""

    path: str = setting(
        "the folder. Files are recognised by their content, whatever their names; archives (zip, tar, gzip) must be "
        "unpacked, and other files are ignored and listed in the log",
        file=True,
    )
    member: int | None = setting(
        "number of the ensemble member to read; without it, data of several members are an error",
        default=None,
        schema={"type": "integer"},
        minimum=0,
    )
    interpolate_levels: bool = setting(
        "whether missing pressure levels may be interpolated from those above and below", default=False
    )


class Files(ArchiveSource):
    """Data that a user already has."""

    name = "files"
    about = "a folder of GRIB and netCDF files"
    Settings = FilesSettings

    @classmethod
    def fetch(cls, settings: dict[str, Any], times: Sequence[datetime], destination: str) -> None:
        """Write what the files have at the needed times to one file."""
        from ..fetching import naive_times, notes_after, write_source
        from ..folder import sorted_out
        from ..layout import standard_dataset
        from ..opening import SourceError, open_datasets
        from ..options import Options
        from ..valid_times import describe_times

        folder = Path(settings["path"])
        options = Options.from_settings(settings)
        wanted = naive_times(times)
        try:
            paths, notes = sorted_out(settings)
            if not paths:
                raise SourceError(f"{folder} has no GRIB or netCDF file (archive.path){notes_after(notes)}")
            parts = ((path, dataset) for path in paths for dataset in open_datasets(path))
            standard, more = standard_dataset(parts, options, wanted)
        except ValueError as error:
            raise SourceError(f"{error} (archive.path: {folder})") from error
        notes += more
        for note in notes:
            print(note, flush=True)
        if not standard.data_vars:
            raise SourceError(
                f"{folder}: no file of {len(paths)} has a state valid at {describe_times(wanted)} "
                f"(archive.path){notes_after(notes)}"
            )
        write_source(standard, destination, f"{folder} (archive.path)", options, wanted, notes)
