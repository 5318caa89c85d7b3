"""The configuration that a folder's results belong to, and whether another one may use them.

Snakemake remembers what every file was made from, and makes again what has changed. It cannot tell that all of a folder
belongs to another experiment, and it forgets everything with its folder ``.snakemake``. `results/configuration.yaml`,
written when a run starts, tells both.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from .. import __version__
from ..files.atomic import atomic_write
from .brought import digest, named_files

RECORD = Path("results/configuration.yaml")
#: what makes another experiment of a configuration: it gets a folder of its own
IDENTITY = (
    "grid",
    "archive.source",
    "archive.path",
    "archive.of",
    "archive.finer.path",
    "training.grid",
    "training.archive.source",
    "training.archive.path",
    "training.archive.of",
)
#: what changes no file that a later run could take for its own
WITHOUT_EFFECT = (
    "warm_start",
    "checkpoint_minutes",
    "readers",
    "cycling.keep_forecasts",
    "cycling.block_days",
    "example",
)
#: Snakemake's memory of what its files were made from
METADATA = (Path(".snakemake/metadata"), Path(".snakemake/metadata.db"))
#: most differences that an error names
SHOWN = 6


class OtherExperimentError(ValueError):
    """The results in this folder belong to another configuration."""


def flat(section: Any, prefix: str = "") -> dict[str, Any]:
    """The values of nested mappings by their dotted keys; lists are values."""
    if not isinstance(section, dict):
        return {prefix: section}
    values: dict[str, Any] = {}
    for key, value in section.items():
        values |= flat(value, f"{prefix}.{key}" if prefix else str(key))
    return values


def configuration_digest(config: dict[str, Any]) -> str:
    """Twelve hexadecimal digits that stand for all of a configuration that its files depend on."""
    values = {key: value for key, value in flat(config).items() if not _within(key, WITHOUT_EFFECT)}
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:12]


def record(config: dict[str, Any]) -> None:
    """Write which configuration the folder's results belong to from now on, unless that is written already.

    Raises
    ------
    OtherExperimentError
        If it cannot be written.
    """
    contents = {
        "version": __version__,
        "configuration_digest": configuration_digest(config),
        "files": {key: digest(path) for key, path in named_files(config)},
        "configuration": config,
    }
    plain = json.loads(json.dumps(contents, default=str))  # plain mappings, as YAML wants them
    text = yaml.safe_dump(plain, sort_keys=False, width=110)
    try:
        if RECORD.exists() and RECORD.read_text() == text:
            return
        with atomic_write(RECORD) as temporary:
            temporary.write_text(text)
    except OSError as error:
        raise OtherExperimentError(f"{RECORD}: cannot be written ({error}); nothing is started") from None


def refuse_another(config: dict[str, Any]) -> None:
    """Refuse a configuration that may not use the results in this folder.

    Raises
    ------
    OtherExperimentError
        If they are of another grid or archive; or if they were made with other settings and Snakemake's memory of
        which file was made with which is gone. Keys and both values are named.
    """
    if not RECORD.exists():
        return
    try:
        then = yaml.safe_load(RECORD.read_text())
        before = flat(then["configuration"])
        files = then["files"]
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise OtherExperimentError(
            f"{RECORD}: cannot be read ({error}); remove it if the results are of this configuration"
        ) from None
    now = flat(json.loads(json.dumps(config, default=str)))
    where = f"results/ in {os.getcwd()}"
    other = {key for key in before.keys() & now.keys() if _within(key, IDENTITY) and before[key] != now[key]}
    if other:
        raise OtherExperimentError(
            f"{where} belongs to another experiment: {_differences(sorted(other), before, now)}. Give this one a "
            "folder of its own (snakemake --directory FOLDER, with a link to resources/ in it), or remove results/; if "
            f"the archive has only been moved, remove only {RECORD}"
        )
    if any(path.is_file() or (path.is_dir() and any(path.iterdir())) for path in METADATA):
        return
    changed = [key for key in sorted(before.keys() | now.keys()) if before.get(key) != now.get(key)]
    changed = [key for key in changed if not _within(key, WITHOUT_EFFECT) and not _is_new(key, before)]
    for key, path in named_files(config):
        if key in files and digest(path) not in (None, files[key]):
            before[key] = "another file"
            now[key] = path
            changed.append(key)
    if changed:
        raise OtherExperimentError(
            f"{where} was made with another configuration, and .snakemake, which records how each file was made, is "
            f"missing: {_differences(changed, before, now)}. Go back to the configuration in {RECORD}, give this one a "
            "folder of its own (snakemake --directory FOLDER), or remove results/"
        )


def _within(key: str, sections: Iterable[str]) -> bool:
    return any(key == section or key.startswith(f"{section}.") for section in sections)


def _is_new(key: str, before: dict[str, Any]) -> bool:
    """Whether a key belongs to an experiment or network that is new, and therefore has no files."""
    parts = key.split(".")
    if parts[0] not in ("experiments", "observations", "windows"):
        return False
    return not any(name.startswith(f"{parts[0]}.{parts[1]}.") for name in before)


def _differences(keys: list[str], before: dict[str, Any], now: dict[str, Any]) -> str:
    shown = [f"{key} {before.get(key)!r} there, {now.get(key)!r} here" for key in keys[:SHOWN]]
    if len(keys) > SHOWN:
        shown.append(f"and {len(keys) - SHOWN} more")
    return "; ".join(shown)
