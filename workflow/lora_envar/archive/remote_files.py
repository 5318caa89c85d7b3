"""Remote files, of which only the needed parts are read, by byte ranges of HTTP."""

import os
import time as clock
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from ..files.atomic import atomic_write
from .fetching import unreachable
from .opening import SourceError

#: how often a part is asked for before it is given up
ATTEMPTS = 5
#: bytes that are read at once, and kept
BLOCK = 1 << 20
#: s without an answer
TIMEOUT = 60
#: HTTP's codes of what is not there: object storage refuses what it does not have
ABSENT = (403, 404, 410)


def fetch_part(address: str, chosen: Mapping[str, Sequence[Any]], target: Path, service: str) -> None:
    """Write the needed part of a remote netCDF file to a file, which appears when it is complete; failures are retried.

    Parameters
    ----------
    address : str
        ``https://...``, or the path of a file.
    chosen : mapping
        Coordinate -> the values at which fields are needed.
    target : Path
    service : str
        Name of the service, for messages.

    Raises
    ------
    SourceError
        If the file does not exist, lacks what is needed, or cannot be downloaded.
    """
    import fsspec

    def fetch() -> None:
        with (
            fsspec.open(address, "rb", block_size=BLOCK) as file,
            xr.open_dataset(file, engine="h5netcdf", decode_timedelta=False, cache=False) as dataset,
            atomic_write(target) as temporary,
        ):
            part = dataset.sel(chosen)
            for variable in part.variables.values():
                variable.encoding.clear()
            part.to_netcdf(temporary, engine="netcdf4")

    try:
        tried(fetch, address, service)
    except KeyError as error:
        raise SourceError(
            f"{service}: {address} does not have all that was requested ({error}); check archive.start and archive.end"
        ) from error


def fetch_messages(address: str, wanted: Callable[[str], bool], target: Path, service: str) -> None:
    """Write some messages of a remote GRIB file to a file, with the help of its index, in wgrib2's format.

    Parameters
    ----------
    address : str
        Address of the GRIB file; that of its index ends in ``.idx`` in addition.
    wanted : function
        Says whether a message is needed, by its variable and level, such as ``TMP:500 mb``.
    target : Path
    service : str
        Name of the service, for messages.

    Raises
    ------
    SourceError
        If the file does not exist, lacks what is needed, or cannot be downloaded.
    """

    def fetch() -> None:
        lines = [line.split(":") for line in _get(f"{address}.idx").decode().splitlines() if line]
        starts = [int(line[1]) for line in lines] + [None]
        with atomic_write(target) as temporary, open(temporary, "wb") as file:
            for line, start, end in zip(lines, starts, starts[1:], strict=False):
                if wanted(":".join(line[3:5])):
                    message = _get(address, start, end)
                    if not (message.startswith(b"GRIB") and message.endswith(b"7777")):
                        raise OSError(f"bytes {start} to {end} are not a whole message")
                    file.write(message)

    tried(fetch, address, service)


def _get(address: str, start: int | None = None, end: int | None = None) -> bytes:
    """Read a file at an address, or its bytes from `start` to `end`."""
    headers = {} if start is None else {"Range": f"bytes={start}-{'' if end is None else end - 1}"}
    with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=TIMEOUT) as answer:
        content = answer.read()
    if start is None or answer.status == 206:
        return content
    return content[start:end]


def tried(action: Callable[[], None], address: str, service: str) -> None:
    """Do something that needs the network; if it fails, try again after growing pauses.

    Raises
    ------
    SourceError
        If every attempt fails, or if there is nothing at the address.
    KeyError, ImportError
        If the action raises one.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return action()
        except (KeyError, ImportError):
            raise
        except Exception as error:  # aiohttp, h5netcdf and requests raise errors of many kinds
            if _says_absent(error):
                raise SourceError(
                    f"{service}: {address} does not exist; check archive.start and archive.end"
                ) from error
            if attempt == ATTEMPTS:
                raise SourceError(unreachable(service, address, error)) from error
            print(f"{address}: attempt {attempt} of {ATTEMPTS} failed: {type(error).__name__}: {error}", flush=True)
            clock.sleep(min(2**attempt, 60))
    raise AssertionError("unreachable")


def _says_absent(error: Exception) -> bool:
    """Whether an error says that nothing is at an address, and not that the address cannot be reached."""
    if isinstance(error, FileNotFoundError):
        # fsspec says so of any failure, and of what it was by the cause
        cause = error.__cause__
        return cause is None or isinstance(cause, FileNotFoundError) or getattr(cause, "status", 0) in ABSENT
    answer = getattr(error, "response", None)  # of requests
    return getattr(error, "code", 0) in ABSENT or getattr(answer, "status_code", 0) in ABSENT


def check_grib(path: Path, fields: int) -> None:
    """Refuse a file that does not consist of complete GRIB messages, or has fewer fields than given.

    Raises
    ------
    SourceError
        The message says what arrived.
    """
    import eccodes

    with open(path, "rb") as file:
        start = file.read(4)
        file.seek(-min(4, path.stat().st_size), os.SEEK_END)
        if start != b"GRIB" or file.read(4) != b"7777":
            raise SourceError("what was downloaded is not a complete GRIB file")
        file.seek(0)
        count = eccodes.codes_count_in_file(file)
    if count < fields:
        raise SourceError(f"what was downloaded has {count} of the {fields} fields that were requested")
