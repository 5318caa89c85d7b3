"""ARCO-ERA5, a public Zarr store in the cloud."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ...fields.state import LEVELS, SURFACE, UPPER_AIR, VARIABLES
from ...settings import setting
from ..sizes import ERA5_POINTS, FLOAT
from ..source import ArchiveSource

STORE = "gs://gcp-public-data-arco-era5/ar/full_37-1h-0p25deg-chunk-1.zarr-v3"
#: levels in one chunk of a store, which is read whole: all of ERA5's in the full store
FULL_LEVELS = 37
FULL_STORE = "full_37"


@dataclass(frozen=True)
class ArcoSettings:
    """Settings of `arco`."""

    path: str | None = setting("address of another Zarr store", default=None, schema={"type": "string"})


class Arco(ArchiveSource):
    """Only the chunks of the needed times and variables are read."""

    name = "arco"
    about = "ARCO-ERA5, a Zarr store in the cloud"
    Settings = ArcoSettings

    @classmethod
    def bytes_per_time(cls, settings: dict[str, Any], points: int) -> int:
        """All levels of the full store, which is read in whole chunks, or else those of the state."""
        store = settings.get("path")
        if store is None or FULL_STORE in store:
            return (len(SURFACE) + len(UPPER_AIR) * FULL_LEVELS) * ERA5_POINTS * FLOAT
        return (len(SURFACE) + len(UPPER_AIR) * len(LEVELS)) * points * FLOAT

    @classmethod
    def fetch(cls, settings: dict[str, Any], times: Sequence[datetime], destination: str) -> None:
        """Write what the store has at the needed times to one file."""
        import numpy as np
        import xarray as xr

        from ..fetching import naive_times, unreachable, write_source
        from ..opening import SourceError
        from ..options import Options
        from ..valid_times import describe_times, to_minutes

        store = settings.get("path") or STORE
        options = {"token": "anon"} if store.startswith("gs://") else {}
        try:
            dataset = xr.open_dataset(
                store, engine="zarr", chunks=None, cache=False, consolidated=True, storage_options=options or None
            )
            names = [VARIABLES[name][0] for name in (*SURFACE, *UPPER_AIR)]
            missing = [name for name in (*names, "time", "level") if name not in dataset.variables]
            if missing:
                raise SourceError(f"{store} has no {', '.join(missing)}; give a store that has them (archive.path)")
            dataset = dataset[names].assign_coords(time=to_minutes(dataset.time.values))
            wanted = naive_times(times)
            absent = wanted[~np.isin(wanted, dataset.time.values)]
            levels = [str(level) for level in LEVELS if level not in dataset.level.values]
            if len(absent) or levels:
                missing = [f"{level} hPa" for level in levels]
                if len(absent):
                    missing.insert(0, f"the times {describe_times(absent)}")
                raise SourceError(f"{store} does not have {', '.join(missing)}; check archive.start and archive.end")
            # one variable is read after the other, as it is written: all of them may be too many to hold
            chosen = dataset.sel(time=wanted, level=list(LEVELS))
            write_source(chosen, destination, store, Options.from_settings(settings), wanted)
        except SourceError:
            raise
        except Exception as error:  # gcsfs, aiohttp and zarr raise errors of many kinds
            raise SourceError(unreachable("ARCO-ERA5", store, error)) from error
