"""Which files of a folder are GRIB or netCDF, judged by their first bytes and not by their names.

Rules name these files as their inputs, so Snakemake imports this module at every start: it imports neither torch
nor xarray.
"""

from pathlib import Path
from typing import Any

from ..files.kinds import GRIB, NETCDF3, NETCDF4, kind_of

#: kinds of files that are read
READ = (GRIB, NETCDF3, NETCDF4)


def field_kind_of(path: str | Path) -> tuple[str, str | None]:
    """The kind of a file, in the words of `files.kinds`, and what to do with it if it is neither GRIB nor netCDF.

    Returns
    -------
    kind : str
        One of `READ`, or something else.
    advice : str or None
        None for those of `READ`.

    Raises
    ------
    OSError
        If the file cannot be opened.
    """
    kind, advice = kind_of(path)
    if kind in READ:
        return kind, None
    return kind, advice or "give a file in GRIB (1 or 2) or netCDF"


def sorted_out(settings: dict[str, Any]) -> tuple[list[str], list[str]]:
    """The files of the folder `archive.path` that are read, and a line about each of the others.

    Parameters
    ----------
    settings : dict
        The configuration's section `archive`; `path` is the folder. Only files directly in it count, and none
        whose name starts with a dot.

    Returns
    -------
    files : list of str
        Paths of the GRIB and netCDF files, in the order of their names.
    left_out : list of str
        As "left out: era5.zip, a zip archive; unpack it (unzip) and give the files in it".

    Raises
    ------
    ValueError
        If there is no such folder, or a file of it cannot be opened.
    """
    folder = Path(settings["path"])
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise ValueError(f"{folder} {what} (archive.path); name the folder that has the GRIB and netCDF files")
    files = []
    left_out = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        try:
            kind, advice = field_kind_of(path)
        except OSError as error:
            raise ValueError(
                f"{path} cannot be opened ({error.strerror or error}); remove the file, or make it readable"
            ) from error
        if advice:
            left_out.append(f"left out: {path.name}, {kind}; {advice}")
        else:
            files.append(str(path))
    return files, left_out
