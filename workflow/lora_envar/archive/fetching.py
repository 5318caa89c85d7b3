"""What sources share: files that appear only when they are complete, and messages about failed downloads."""

import shutil
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import xarray as xr

from ..files.atomic import atomic_write
from ..files.netcdf import provenance
from .axes import in_order
from .completeness import IncompleteError, refuse_incomplete
from .layout import standard_dataset
from .opening import SourceError, open_datasets
from .options import Options

#: the last dimensions of a written field
_HORIZONTAL = ("latitude", "longitude")


def write_source(
    dataset: xr.Dataset,
    destination: str | Path,
    source: str,
    options: Options,
    wanted: np.ndarray,
    notes: Sequence[str] = (),
) -> None:
    """Write what was found; the file appears only if every needed time has all that states need.

    Parameters
    ----------
    dataset : Dataset
        Its encodings are cleared.
    destination : path
    source : str
        For messages and the file's title.
    options : Options
    wanted : (times,)
        datetime64.
    notes : sequence of str
        From `standard_dataset`, for messages.

    Raises
    ------
    SourceError
        If something is missing; all of it is named.
    """
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
        dataset.coords.to_dataset().assign_attrs(dataset.attrs).to_netcdf(temporary, engine="netcdf4")
        with netCDF4.Dataset(temporary, "a") as file:
            for name, field in dataset.data_vars.items():
                _append(file, str(name), field)
        # what was read is read again from the disk: it may be too much to hold
        with xr.open_dataset(temporary, engine="netcdf4", cache=False) as written:
            _refuse_incomplete(written, source, options, wanted, notes)


def _append(file: netCDF4.Dataset, name: str, field: xr.DataArray) -> None:
    """Append a field, latitude before longitude, one time after another, since all may not fit into memory."""
    others = [str(dimension) for dimension in field.dims if dimension not in ("time", *_HORIZONTAL)]
    dimensions = ("time", *others, *_HORIZONTAL)
    variable = file.createVariable(name, np.result_type(field.dtype, np.float32), dimensions, fill_value=np.nan)
    variable.setncatts({str(key): value for key, value in field.attrs.items()})
    for index in range(field.sizes["time"]):
        variable[index] = in_order(field.isel(time=index))


def write_parts(
    fetch: Callable[[Path], Iterable[Path]],
    settings: dict[str, Any],
    wanted: np.ndarray,
    destination: str | Path,
    source: str,
) -> None:
    """Fetch files that together have the needed times, and write these to one file.

    What arrived before a break is kept beside the destination, and is not fetched again.

    Parameters
    ----------
    fetch : function
        Returns paths of GRIB or netCDF files in a folder, and does not fetch again what is in it.
    settings : dict
        The configuration's section `archive`.
    wanted : (times,)
        datetime64.
    destination : path
    source : str
        For messages.

    Raises
    ------
    SourceError
        If something is missing, or if `fetch` fails.
    """
    folder = Path(destination).with_name(f".{Path(destination).name}.requests")
    folder.mkdir(parents=True, exist_ok=True)
    options = Options.from_settings(settings)
    parts = [(path.name, part) for path in fetch(folder) for part in open_datasets(path)]
    try:
        standard, notes = standard_dataset(parts, options)
        for note in notes:
            print(note, flush=True)
        write_source(standard, destination, source, options, wanted, notes)
    except SourceError:
        shutil.rmtree(folder)  # else the same files would be taken for what was asked for again and again
        raise
    except ValueError as error:
        shutil.rmtree(folder)
        raise SourceError(f"{source}: {error}") from error
    shutil.rmtree(folder)


def _refuse_incomplete(
    dataset: xr.Dataset, source: str, options: Options, wanted: np.ndarray, notes: Sequence[str]
) -> None:
    try:
        refuse_incomplete(standard_dataset([(source, dataset)], options)[0], source, options, notes, wanted)
    except IncompleteError as error:
        raise SourceError(str(error)) from error


def unreachable(service: str, what: str, error: Exception | str) -> str:
    """The message about a service that cannot be reached."""
    reason = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
    reason = reason.splitlines()[0][:300]
    return (
        f"{service}: {what} could not be downloaded ({reason}). Without a network, use archive.source: example, or "
        "source: files for files that you already have"
    )


def naive_times(times: Sequence[datetime]) -> np.ndarray:
    """Valid times in UTC as numpy's, without a time zone."""
    return np.array([time.replace(tzinfo=None) for time in times], dtype="datetime64[ns]")


def notes_after(notes: list[str]) -> str:
    """Join notes to the end of a message."""
    return "".join(f"; {note}" for note in notes)
