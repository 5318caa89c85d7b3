"""Where a reanalysis comes from: one function per source, each writing what it gets for a block of times to one file.

A source is `fetch(settings, times, destination)`: `settings` is the configuration's section `archive`, `times` the
valid times wanted, and `destination` a netCDF file that appears when all of it has arrived and has been checked.
"""

import os
import time as clock
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import torch
import xarray as xr

from ..example_world.nature import NATURE_GRID, NATURE_TRUNCATION
from ..example_world.packed import read_coefficients
from ..fields.harmonics import SphericalHarmonics
from ..fields.state import LEVELS, SURFACE, UPPER_AIR, VARIABLES
from ..files.atomic import atomic_write
from ..files.netcdf import provenance
from ..files.state_file import write_states
from .completeness import IncompleteError, refuse_incomplete
from .folder import sorted_out
from .layout import standard_dataset
from .opening import SourceError, open_datasets
from .options import AS_THEY_COME, Options
from .valid_times import describe_times, to_minutes

ARCO_STORE = "gs://gcp-public-data-arco-era5/ar/full_37-1h-0p25deg-chunk-1.zarr-v3"
CDS_ATTEMPTS = 5


def fetch_example(settings: dict, times: list[datetime], destination):
    """The shipped archive: unpack spherical-harmonic coefficients."""
    available, coefficients = read_coefficients(settings["path"])
    wanted = _naive(times)
    missing = wanted[~np.isin(wanted, available)]
    if len(missing):
        raise SourceError(
            f"{settings['path']}: has no state valid at {describe_times(missing)}; it covers {available[0]} to "
            f"{available[-1]} (archive.start, archive.end)"
        )
    harmonics = SphericalHarmonics(NATURE_GRID, NATURE_TRUNCATION)
    states = harmonics.synthesise(coefficients[torch.as_tensor(np.searchsorted(available, wanted))])
    write_states(destination, states.numpy(), times, NATURE_GRID, {"source_archive": str(settings["path"])})


def fetch_files(settings: dict, times: list[datetime], destination):
    """A folder of GRIB and netCDF files: what they hold for the wanted times, in one file."""
    folder, options, wanted = Path(settings["path"]), Options.from_settings(settings), _naive(times)
    try:
        paths, notes = sorted_out(settings)
        if not paths:
            raise SourceError(f"{folder}: has no GRIB or netCDF file (archive.path){_after(notes)}")
        parts = ((path, dataset) for path in paths for dataset in open_datasets(path))
        standard, more = standard_dataset(parts, options, wanted)
    except ValueError as error:
        raise SourceError(f"{error} (archive.path: {folder})") from error
    notes += more
    for note in notes:
        print(note, flush=True)
    if not standard.data_vars:
        raise SourceError(
            f"{folder}: none of its {len(paths)} files has a state valid at {describe_times(wanted)} "
            f"(archive.path){_after(notes)}"
        )
    _write(standard, destination, f"{folder} (archive.path)", options, wanted, notes)


def fetch_arco(settings: dict, times: list[datetime], destination):
    """ARCO-ERA5, a public Zarr store in the cloud: only the chunks of the wanted times and variables."""
    store = settings.get("path") or ARCO_STORE
    options = {"token": "anon"} if store.startswith("gs://") else {}
    try:
        dataset = xr.open_zarr(store, chunks=None, consolidated=True, storage_options=options or None)
        names = [VARIABLES[name][0] for name in (*SURFACE, *UPPER_AIR)]
        lacking = [name for name in (*names, "time", "level") if name not in dataset.variables]
        if lacking:
            raise SourceError(f"{store}: lacks {', '.join(lacking)}")
        dataset, wanted = dataset[names].assign_coords(time=to_minutes(dataset.time.values)), _naive(times)
        absent = wanted[~np.isin(wanted, dataset.time.values)]
        levels = [str(level) for level in LEVELS if level not in dataset.level.values]
        if len(absent) or levels:
            lacking = [f"the times {describe_times(absent)}"] * bool(len(absent)) + [f"{level} hPa" for level in levels]
            raise SourceError(f"{store}: lacks {', '.join(lacking)} (archive.start, archive.end)")
        # one variable is read after the other, as it is written: all of them may be too many to hold
        chosen = dataset.sel(time=wanted, level=list(LEVELS))
        _write(chosen, destination, store, Options.from_settings(settings), wanted)
    except SourceError:
        raise
    except Exception as error:  # gcsfs, aiohttp and zarr raise errors of many kinds
        raise SourceError(_unreachable("ARCO-ERA5", store, error)) from error


def fetch_cds(settings: dict, times: list[datetime], destination):
    """Copernicus Climate Data Store: one request a day and level type; what has arrived is not asked for again."""
    try:
        import cdsapi

        client = cdsapi.Client(url=settings.get("url"), key=settings.get("key"), quiet=True, progress=False)
    except Exception as error:  # cdsapi raises a bare Exception where it finds no credentials
        reason = _without_key(str(error), settings.get("key"))
        raise SourceError(
            f"Climate Data Store: no client could be made ({reason}). Put url and key into ~/.cdsapirc, or into "
            "CDSAPI_URL and CDSAPI_KEY, and accept the licence of the ERA5 datasets"
        ) from None  # the traceback of the original error, too, would show the key
    destination = Path(destination)
    partial = destination.with_name(f".{destination.name}.requests")
    partial.mkdir(parents=True, exist_ok=True)
    parts = []
    for day in sorted({time.date() for time in times}):
        hours = [time for time in times if time.date() == day]
        for dataset, extra in (
            ("reanalysis-era5-single-levels", {"variable": [VARIABLES[name][0] for name in SURFACE]}),
            (
                "reanalysis-era5-pressure-levels",
                {"variable": [VARIABLES[name][0] for name in UPPER_AIR], "pressure_level": [str(p) for p in LEVELS]},
            ),
        ):
            request = {
                "product_type": ["reanalysis"],
                "year": [f"{day:%Y}"],
                "month": [f"{day:%m}"],
                "day": [f"{day:%d}"],
                "time": [f"{time:%H:%M}" for time in hours],
                "data_format": "grib",
                "download_format": "unarchived",
                **extra,
            }
            target = partial / f"{day:%Y%m%d}-{'-'.join(f'{time:%H}' for time in hours)}-{dataset}.grib"
            if not target.exists():
                fields = len(hours) * len(extra["variable"]) * len(extra.get("pressure_level", [0]))
                _retrieve(client, dataset, request, target, fields, settings.get("key"))
            parts += [(target.name, part) for part in open_datasets(target)]
    standard, notes = standard_dataset(parts)
    for note in notes:
        print(note, flush=True)
    try:
        _write(standard, destination, "Climate Data Store", AS_THEY_COME, _naive(times), notes)
    except SourceError:
        _remove(partial)  # else the same files would be taken for what was asked for again and again
        raise
    _remove(partial)


def _remove(folder: Path):
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def _retrieve(client, dataset, request, target, fields: int, key=None):
    """One request, tried again after growing pauses; the file appears when it is whole and has all its fields."""
    for attempt in range(1, CDS_ATTEMPTS + 1):
        try:
            with atomic_write(target) as temporary:
                client.retrieve(dataset, request, str(temporary))
                _check_grib(temporary, fields)
            return
        except Exception as error:  # cdsapi raises errors of many kinds
            reason = _without_key(f"{type(error).__name__}: {error}", key, getattr(client, "key", None))
            if attempt == CDS_ATTEMPTS:
                raise SourceError(_unreachable("Climate Data Store", dataset, reason)) from None
            print(f"{dataset}, attempt {attempt} of {CDS_ATTEMPTS}: {reason}", flush=True)
            clock.sleep(min(2**attempt, 60))


def _check_grib(path: Path, fields: int):
    """Refuse a file that is not whole GRIB messages, at least so many."""
    import eccodes

    with open(path, "rb") as file:
        start = file.read(4)
        file.seek(-min(4, path.stat().st_size), os.SEEK_END)
        if start != b"GRIB" or file.read(4) != b"7777":
            raise SourceError("what arrived is not a whole GRIB file")
        file.seek(0)
        count = eccodes.codes_count_in_file(file)
    if count < fields:
        raise SourceError(f"what arrived has {count} of the {fields} fields asked for")


def _without_key(text: str, *keys: str | None) -> str:
    """A text without the key of the Climate Data Store, nor either part of one of the form user:key."""
    for key in (*keys, os.environ.get("CDSAPI_KEY")):
        for secret in (key, *key.split(":")) if key else ():
            text = text.replace(secret, "***") if len(secret) > 3 else text
    return text


def _unreachable(service: str, what: str, error: Exception | str) -> str:
    reason = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
    reason = reason.splitlines()[0][:300]
    return (
        f"{service}: {what} cannot be had ({reason}). Without a network use archive.source: example, or files for "
        "data in hand"
    )


def _naive(times):
    return np.array([time.replace(tzinfo=None) for time in times], dtype="datetime64[ns]")


def _after(notes: list[str]) -> str:
    return "".join(f"; {note}" for note in notes)


def _write(dataset: xr.Dataset, destination, source: str, options: Options, wanted: np.ndarray, notes=()):
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


#: archive.source in the configuration -> function
SOURCES: dict[str, Callable] = {
    "example": fetch_example,
    "files": fetch_files,
    "cds": fetch_cds,
    "arco": fetch_arco,
}
