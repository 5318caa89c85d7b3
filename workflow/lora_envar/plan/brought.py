"""Files that a configuration names and no rule makes: a user brings them.

Which they are, which of them are missing, and what is in them.

Pure Python and quick to import: Snakemake reads it whenever it starts.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from ..archive import named_files as files_of_archive
from ..files.atomic import atomic_write
from ..forecast import named_files as files_of_model

#: digests of files by path, with the size and time of change that they had
DIGESTS = Path(".snakemake/lora_envar/digests.json")


def named_files(config: dict[str, Any]) -> list[tuple[str, str]]:
    """Keys and paths of the files that a configuration names.

    Folders of reanalysis files (`archive.path` with ``source: files``) are among them, the files of single cycles are
    not.
    """
    files: list[tuple[str, str]] = []

    def add(key: str, path: str | None) -> None:
        if path:
            files.append((key, str(path)))

    for key in ("", "training."):
        section = config.get("training", {}) if key else config
        for name, path in files_of_model(section.get("forecast_model", {})).items():
            add(f"{key}forecast_model.{name}", path)
        archive = section.get("archive", {})
        for name, path in files_of_archive(archive).items() if archive else ():
            add(f"{key}archive.{name}", path)
            add(f"{key}archive.finer.{name}", archive.get("finer", {}).get(name))
    for window, entry in config.get("windows", {}).items():
        for name, path in files_of_model(entry["model"]).items():
            add(f"windows.{window}.model.{name}", path)
    for vae, entry in config["vaes"].items():
        add(f"vaes.{vae}.initial_weights", entry.get("initial_weights"))
    for network, entry in config["observations"].items():
        for name in ("error_table", "orography", "stations"):
            add(f"observations.{network}.{name}", entry.get(name))
    return files


def missing_files(files: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those of pairs of key and path that are not there."""
    return [(key, path) for key, path in files if not os.path.exists(path)]


def missing_lines(missing: list[tuple[str, str]]) -> list[str]:
    """A line for every missing file; of many with one key, the first and their number."""
    lines = []
    for key in dict.fromkeys(key for key, _ in missing):
        paths = [path for other, path in missing if other == key]
        more = f" (and {len(paths) - 1} more)" if len(paths) > 1 else ""
        lines.append(f"{key}: {paths[0]} is missing{more}; provide the file, or name another")
    return lines


@cache
def digest(path: str) -> str | None:
    """SHA-256 of a file's content; of a folder, of the names, sizes and times of its files; None if it is missing.

    What was computed before is not computed again while the file keeps its size and its time of change.
    """
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    if os.path.isdir(path):
        return _digest_of_folder(path)
    stamp = [status.st_size, status.st_mtime_ns, status.st_ino]
    known = _known_digests()
    entry = known.get(os.path.abspath(path))
    if entry and entry[:3] == stamp:
        return entry[3]
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    known[os.path.abspath(path)] = [*stamp, found]
    # several processes may write at once, or none may: what is not kept is computed again
    with contextlib.suppress(OSError), atomic_write(DIGESTS) as temporary:
        temporary.write_text(json.dumps(known, indent=0, sort_keys=True))
    return found


def digests(paths: Iterable[str | Path]) -> dict[str, str | None]:
    """Digests of files by their path."""
    return {str(path): digest(str(path)) for path in paths}


def _digest_of_folder(path: str) -> str:
    lines = []
    for file in sorted(os.scandir(path), key=lambda entry: entry.name):
        if file.is_file() and not file.name.startswith("."):
            status = file.stat()
            lines.append(f"{file.name} {status.st_size} {status.st_mtime_ns}\n")
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@cache
def _known_digests() -> dict[str, list[Any]]:
    try:
        return json.loads(DIGESTS.read_text())
    except FileNotFoundError:
        return {}
    except ValueError:  # cut off, or written by something else: all digests are computed again
        return {}
