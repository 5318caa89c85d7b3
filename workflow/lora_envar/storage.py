"""Bytes that a configuration will download and keep, before anything is started. All are upper bounds: uncompressed."""

import pandas as pd

from .state import CHANNELS, LEVELS, SURFACE, UPPER_AIR

FLOAT = 4
GRIB_VALUE = 2  # bytes a value of the Climate Data Store's GRIB, packed to 16 bits
ERA5_POINTS = 721 * 1440
#: levels in one chunk of a store, which is read whole: the whole of ERA5's in the full ARCO store
FULL_LEVELS, FULL_STORE = 37, "full_37"
GDAS_FILE = 60_000_000


def download_bytes(archive: dict, points: int) -> int:
    """Bytes of one time from a source; 0 where nothing is downloaded.

    Parameters
    ----------
    archive : dict
        The section of the configuration.
    points : int
        Of the configured grid, for stores on a coarser grid than ERA5's own.
    """
    if archive["source"] == "cds":
        return len(CHANNELS) * ERA5_POINTS * GRIB_VALUE
    if archive["source"] != "arco":
        return 0
    store = archive.get("path")
    if store is None or FULL_STORE in store:
        return (len(SURFACE) + len(UPPER_AIR) * FULL_LEVELS) * ERA5_POINTS * FLOAT
    return (len(SURFACE) + len(UPPER_AIR) * len(LEVELS)) * points * FLOAT


def state_bytes(grid: dict) -> int:
    """Bytes of one state on the grid of a section of the configuration."""
    return len(CHANNELS) * grid["latitudes"] * grid["longitudes"] * FLOAT


def requirements(config: dict, counts: dict) -> pd.DataFrame:
    """What is downloaded and what is kept, by item.

    Parameters
    ----------
    config : dict
        The configuration.
    counts : dict
        training_times, archive_times, samples, reports (PrepBUFR files to download), and experiments: by name, cycles,
        forecasts (states) and kept members (states on the error grid).

    Returns
    -------
    DataFrame
        item, count, bytes_each, download (bytes), keep (bytes).
    """
    training = config.get("training", config)
    rows = []

    def add(item, count, download, keep):
        rows.append((item, count, count * download, count * keep))

    def archive_row(item, section, grid, count):
        add(item, count, download_bytes(section, grid["latitudes"] * grid["longitudes"]), state_bytes(grid))

    if "training" in config:
        archive_row("states of the training archive", training["archive"], training["grid"], counts["training_times"])
    archive_row("states of the archive", config["archive"], config["grid"], counts["archive_times"])
    add("samples of forecast errors", counts["samples"], 0, state_bytes(config["error_grid"]))
    add("files of reports", counts["reports"], GDAS_FILE, 0)
    state, small = state_bytes(config["grid"]), state_bytes(config["error_grid"])
    for name, experiment in counts["experiments"].items():
        add(f"{name}: background and analysis of a cycle", experiment["cycles"], 0, 2 * state)
        add(f"{name}: medium-range forecasts", experiment["forecasts"], 0, state)
        add(f"{name}: members", experiment["members"], 0, small)
    table = pd.DataFrame(rows, columns=["item", "count", "download", "keep"])
    return table[table["count"] > 0].reset_index(drop=True)


def in_words(table: pd.DataFrame) -> str:
    """The table for a terminal, with its sums."""
    total = pd.DataFrame([("together", "", table.download.sum(), table.keep.sum())], columns=table.columns)
    shown = pd.concat([table.astype({"count": object}), total], ignore_index=True)
    for column in ("download", "keep"):
        shown[column] = shown[column].map(readable)
    return shown.to_string(index=False)


def readable(size: int) -> str:
    """12.3 GB."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
