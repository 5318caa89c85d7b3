"""Checks of outputs: a command may write a new file, or replace one of the same kind that it has made, but no input."""

import json
from collections.abc import Iterable
from pathlib import Path

import netCDF4

from ..files.kinds import NETCDF4, PNG, kind_of

#: mark of figures, see `verification.figures`
FIGURE_MARK = b"Software\0lora-envar"

#: kind of netCDF file -> a variable that it has and that none below it has
_MARKS = {
    "observations": "rejection",
    "predictions": "lead_time",
    "increments": "increment",
    "states": "geopotential",
}


def check_output(out: str | Path, inputs: Iterable[str | Path | None], kind: str) -> None:
    """Refuse an output that would destroy an input, or a file that is of another kind or was not made here.

    Parameters
    ----------
    out : path
    inputs : iterable of paths
        All files that the command reads; None among them is ignored.
    kind : str
        ``observations``, ``predictions``, ``states``, ``increments`` or ``figure``.

    Raises
    ------
    ValueError
        The message names the file and its kind.
    """
    out = Path(out)
    for given in inputs:
        if given is not None and _same(out, Path(given)):
            raise ValueError(f"{out} is an input and would be overwritten; name another file after -o")
    if out.is_dir():
        raise ValueError(f"{out} is a folder; name a file after -o")
    if not out.exists():
        return
    found = _kind_made_here(out)
    if found is None:
        raise ValueError(
            f"{out} exists, but was not made by lora-envar (it is {kind_of(out)[0]}); remove it, or name another file "
            "after -o"
        )
    if found != kind:
        raise ValueError(
            f"{out} exists and has {found} in it, but {kind} would be written; remove it, or name another file after -o"
        )


def check_folder(out: str | Path, experiment: str) -> None:
    """Refuse a folder with anything but IODA files that were exported from the experiment.

    Raises
    ------
    ValueError
        The message names the file and its kind.
    """
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise ValueError(
            f"{out} is a file ({kind_of(out)[0]}); name a folder after -o, because an IODA export has many files"
        )
    for path in sorted(out.iterdir()) if out.is_dir() else ():
        if path.match(".*.part"):  # left by an export that was killed; the next one removes it
            continue
        found = _exported_experiment(path)
        if found is None:
            raise ValueError(
                f"{out} has {path.name} in it, which is not an export; name an empty or a new folder after -o"
            )
        if found != experiment:
            raise ValueError(
                f"{out} has {path.name} in it, which is an export of {found}; name another folder after -o"
            )


def check_store(out: str | Path, title: str) -> None:
    """Refuse an existing path, unless it is a Zarr store with this title, which is replaced.

    Raises
    ------
    ValueError
        The message names the path.
    """
    out = Path(out)
    if not out.exists():
        return
    try:
        found = json.loads((out / ".zattrs").read_text()).get("title")
    except (OSError, ValueError):
        found = None
    if found != title:
        raise ValueError(
            f"{out} exists, but is not a store that was made here; remove it, or name another folder after -o"
        )


def _exported_experiment(path: Path) -> str | None:
    """The experiment from which an IODA file was exported; None for any other file."""
    if path.is_dir() or kind_of(path)[0] != NETCDF4:
        return None
    try:
        with netCDF4.Dataset(path) as dataset:
            found = dataset.__dict__
    except OSError:
        return None
    return str(found.get("experiment")) if {"_ioda_layout", "converter"} <= set(found) else None


def _same(one: Path, other: Path) -> bool:
    if one.exists() and other.exists():
        return one.samefile(other)
    return one.resolve() == other.resolve()


def _kind_made_here(path: Path) -> str | None:
    """Kind of a file written by lora-envar, in the words of `check_output`; None for any other file."""
    kind, _ = kind_of(path)
    if kind == PNG:
        with open(path, "rb") as file:
            return "figure" if FIGURE_MARK in file.read(512) else None
    if kind != NETCDF4:
        return None
    try:
        with netCDF4.Dataset(path) as dataset:
            if not str(getattr(dataset, "source", "")).startswith("lora-envar"):
                return None
            names = set(dataset.variables)
    except OSError:
        return None
    return next((kind for kind, mark in _MARKS.items() if mark in names), "another kind of data")
