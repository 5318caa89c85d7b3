"""What sources share: files that appear only when they are whole, and words for what cannot be had."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import xarray as xr

from ..files.atomic import atomic_write
from ..files.netcdf import provenance
from .completeness import IncompleteError, refuse_incomplete
from .layout import standard_dataset
from .opening import SourceError
from .options import Options


def write_source(dataset: xr.Dataset, destination, source: str, options: Options, wanted: np.ndarray, notes=()):
    """Write what was found; the file appears only if every wanted time has all that states need."""
    for variable in dataset.variables.values():
        variable.encoding.clear()
    absent = wanted[~np.isin(wanted, dataset.time.values)]
    if len(absent):
        # before anything is written
        _refuse_incomplete(dataset, source, options, wanted, notes)
    title = {"title": f"States as the source has them, of {source}"}
    dataset = dataset.copy(deep=False)
    dataset.attrs = provenance(**title)  # not the source's own, which may have a date or a history
    with atomic_write(destination) as temporary:
        dataset.to_netcdf(temporary, engine="netcdf4")
        # what was read is read again from the disk: it may be too much to hold
        with xr.open_dataset(temporary, engine="netcdf4") as written:
            _refuse_incomplete(written, source, options, wanted, notes)


def _refuse_incomplete(dataset, source, options, wanted, notes):
    try:
        refuse_incomplete(standard_dataset([(source, dataset)], options)[0], source, options, notes, wanted)
    except IncompleteError as error:
        raise SourceError(str(error)) from error


def unreachable(service: str, what: str, error: Exception | str) -> str:
    """What to say of a service that cannot be reached."""
    reason = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
    reason = reason.splitlines()[0][:300]
    return (
        f"{service}: {what} cannot be had ({reason}). Without a network use archive.source: example, or files for "
        "data in hand"
    )


def naive_times(times: Sequence[datetime]) -> np.ndarray:
    """Valid times in UTC, as numpy has them, without a time zone."""
    return np.array([time.replace(tzinfo=None) for time in times], dtype="datetime64[ns]")


def notes_after(notes: list[str]) -> str:
    """Notes as the end of a message."""
    return "".join(f"; {note}" for note in notes)
