"""The shipped archive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ...archive.source import ArchiveSource
from ...settings import setting


@dataclass(frozen=True)
class ExampleSettings:
    """Settings of `example`."""

    path: str = setting("the packed file", file=True)


class Example(ArchiveSource):
    """Spherical-harmonic coefficients of a nature run, unpacked."""

    name = "example"
    about = "the archive that ships with the workflow"
    Settings = ExampleSettings

    @classmethod
    def fetch(cls, settings: dict[str, Any], times: Sequence[datetime], destination: str) -> None:
        """Write the states at the needed times, on the grid of the nature run."""
        import numpy as np
        import torch

        from ...archive.fetching import naive_times
        from ...archive.opening import SourceError
        from ...archive.valid_times import describe_times
        from ...fields.harmonics import SphericalHarmonics
        from ...files.state_file import write_states
        from ..nature import NATURE_GRID, NATURE_TRUNCATION
        from ..packed import read_coefficients

        available, coefficients = read_coefficients(settings["path"])
        wanted = naive_times(times)
        missing = wanted[~np.isin(wanted, available)]
        if len(missing):
            raise SourceError(
                f"{settings['path']} has no state valid at {describe_times(missing)}; it has {available[0]} to "
                f"{available[-1]} (archive.start, archive.end)"
            )
        harmonics = SphericalHarmonics(NATURE_GRID, NATURE_TRUNCATION)
        states = harmonics.synthesise(coefficients[torch.as_tensor(np.searchsorted(available, wanted))])
        write_states(destination, states.numpy(), times, NATURE_GRID, {"source_archive": str(settings["path"])})
