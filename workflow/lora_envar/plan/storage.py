"""Bytes that a configuration will download, write and keep, before anything is started.

All are upper bounds: uncompressed. What is written and not kept goes after its last use, block by block of the archive.
"""

from typing import Any

import pandas as pd

from ..archive import SOURCES
from ..archive.sizes import FLOAT
from ..fields.state import CHANNELS

#: bytes of a file of reports
GDAS_FILE = 60_000_000


def state_bytes(grid: dict[str, Any]) -> int:
    """Bytes of one state on the grid of a section of the configuration."""
    return len(CHANNELS) * grid["latitudes"] * grid["longitudes"] * FLOAT


def requirements(config: dict[str, Any], counts: dict[str, Any], vae_bytes: dict[str, int]) -> pd.DataFrame:
    """What is downloaded, what is written and what of it is kept, by item.

    Parameters
    ----------
    config : dict
        The configuration.
    counts : dict
        training_times, archive_times, samples, model_errors, reports (PrepBUFR files to download), reanalysis_members
        (states on the error grid), and experiments: by name, cycles, forecasts (states), members (states on the error
        grid), ensemble (states of an ensemble that is cycled), increments (of single observations), samples (states
        about analyses), vaes (cycles that write all weights of the VAE) and vae (its name).
    vae_bytes : dict
        Of the weights of every VAE, by its name.

    Returns
    -------
    DataFrame
        item, count, download (bytes), write (bytes), keep (bytes).
    """
    training = config.get("training", config)
    rows: list[tuple[str, int, int, int, int]] = []

    def add(item: str, count: int, write: int, kept: bool = True, download: int = 0) -> None:
        written = count * write
        rows.append((item, count, count * download, written, written if kept else 0))

    def archive_row(item: str, section: dict[str, Any], grid: dict[str, Any], count: int) -> None:
        points = grid["latitudes"] * grid["longitudes"]
        download = SOURCES[section["source"]].bytes_per_time(section, points)
        add(item, count, state_bytes(grid), download=download)

    if "training" in config:
        archive_row("states of the training archive", training["archive"], training["grid"], counts["training_times"])
    archive_row("states of the archive", config["archive"], config["grid"], counts["archive_times"])
    state = state_bytes(config["grid"])
    small = state_bytes(config["error_grid"])
    kept = config["cycling"]["keep_forecasts"]
    add("samples of forecast errors", counts["samples"], small)
    add("errors of the forecast model", counts["model_errors"], small)
    add("files of reports", counts["reports"], GDAS_FILE, False, GDAS_FILE)
    add("members from the reanalysis", counts["reanalysis_members"], small, kept)
    for name, experiment in counts["experiments"].items():
        add(f"{name}: analyses", experiment["cycles"], state)
        add(f"{name}: backgrounds", experiment["cycles"], state, kept)
        add(f"{name}: medium-range forecasts", experiment["forecasts"], state, kept)
        add(f"{name}: members", experiment["members"], small, kept)
        add(f"{name}: cycled ensemble", experiment["ensemble"], state, kept)
        add(f"{name}: increments of single observations", experiment["increments"], small)
        add(f"{name}: samples about analyses", experiment["samples"], state, kept)
        add(f"{name}: weights of the VAE", experiment["vaes"], vae_bytes.get(experiment["vae"], 0), kept)
    table = pd.DataFrame(rows, columns=["item", "count", "download", "write", "keep"])
    return table[table["count"] > 0].reset_index(drop=True)


def as_text(table: pd.DataFrame) -> str:
    """The table for a terminal, with its sums."""
    sizes = ["download", "write", "keep"]
    total = pd.DataFrame([("together", "", *table[sizes].sum())], columns=table.columns)
    shown = pd.concat([table.astype({"count": object}), total], ignore_index=True)
    for column in sizes:
        shown[column] = shown[column].map(readable)
    return shown.to_string(index=False)


def readable(size: float) -> str:
    """Bytes as three significant digits and a unit, such as 12.3 GB."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
