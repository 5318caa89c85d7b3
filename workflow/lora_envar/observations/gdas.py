"""Downloads of GDAS PrepBUFR files, which are resumed after a break, and checked for completeness."""

import shutil
import time as clock
import urllib.error
import urllib.request
from collections.abc import Callable
from os import PathLike
from pathlib import Path

from ..files.kinds import kind_of
from .prepbufr import PrepBufrError

ATTEMPTS = 5
TIMEOUT = 60  # s without a byte
CHUNK = 1 << 20


class DownloadError(RuntimeError):
    """A file could not be downloaded."""


def download(url: str, destination: str | PathLike[str], progress: Callable[[str], None] = print) -> None:
    """Download a BUFR file; what has arrived is kept beside `destination`, and the download continues from there.

    Raises
    ------
    DownloadError
        If it cannot be reached, does not exist, or is not a complete BUFR file.
    """
    target = Path(destination)
    partial = target.with_name(f".{target.name}.partial")
    partial.parent.mkdir(parents=True, exist_ok=True)
    reason: Exception | None = None
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _continue(url, partial)
            _check(partial)
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code not in (408, 429):
                raise DownloadError(f"{url}: the server answered {error.code} {error.reason}; check `url`") from error
            reason = error
        except (OSError, PrepBufrError) as error:
            reason = error
        else:
            partial.replace(target)
            return
        progress(f"{url}: attempt {attempt} of {ATTEMPTS} failed: {reason}")
        if attempt < ATTEMPTS:
            clock.sleep(min(2**attempt, 60))
    raise DownloadError(
        f"{url} could not be downloaded ({str(reason)[:300]}). Without a network, give files that you already have "
        "with `path`"
    ) from reason


def _continue(url: str, partial: Path) -> None:
    """Append the part of a file that has not arrived yet."""
    have = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # all of it is here, or the file has changed: `_check` decides
            return
        raise
    with answer, open(partial, "ab" if answer.status == 206 else "wb") as file:
        expected = answer.headers.get("Content-Length")
        start = file.tell()
        shutil.copyfileobj(answer, file, CHUNK)
        arrived = file.tell() - start
    if expected is not None and arrived != int(expected):
        raise ConnectionError(f"the download broke off after {arrived} of {expected} bytes")


def _check(partial: Path) -> None:
    """Refuse and remove a file that does not begin and end like BUFR."""
    size = partial.stat().st_size
    with open(partial, "rb") as file:
        begins = file.read(64)  # a Fortran record's length may come first, and last
        file.seek(max(0, size - 64))
        ends = file.read()
    if b"BUFR" not in begins or b"7777" not in ends:
        kind, advice = kind_of(partial)
        partial.unlink()
        what = f", but {kind}: {advice}" if advice else ""
        raise PrepBufrError(f"what was downloaded ({size} bytes) is not a complete BUFR file{what}")
