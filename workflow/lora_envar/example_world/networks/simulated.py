"""A simulated network: columns of grid points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...fields.state import CHANNELS, VARIABLES
from ...observations.catalogue import TYPES
from ...observations.network import Network
from ...settings import setting

#: how columns are placed, see `example_world.twin.draw_columns`
ARRANGEMENTS = ("quasi_uniform", "random")


@dataclass(frozen=True, kw_only=True)
class SimulatedSettings:
    """Settings of `simulated`."""

    columns: int = setting("number of grid points", minimum=1)
    arrangement: str = setting(
        "`quasi_uniform` (the grid points nearest to a Fibonacci lattice: equal numbers in equal areas) or `random` "
        "(all grid points are equally likely, so that the density increases towards the poles)",
        choices=ARRANGEMENTS,
    )
    error_fraction: float = setting(
        "observation error of state variables, divided by the climatological standard deviation", above=0
    )
    error_fractions: dict[str, float] | None = setting(
        "the same for single variables (`t`, `t2m`, ...), overriding `error_fraction`",
        default=None,
        schema={
            "type": "object",
            "propertyNames": {"enum": list(VARIABLES)},
            "additionalProperties": {"type": "number", "exclusiveMinimum": 0},
        },
    )
    noise: bool = setting("whether noise of that size is added to the values")
    seed: int = setting("seed of the places and of the noise", minimum=0)
    types: tuple[str, ...] | None = setting(
        "what is observed: state variables, at all levels, or `refractivity`; by default all state variables",
        default=None,
        schema={"type": "array", "minItems": 1, "uniqueItems": True, "items": {"enum": list(TYPES)}},
    )
    relative_errors: dict[str, float] | None = setting(
        "for types that are not state variables: error divided by value, overriding the type's own error",
        default=None,
        schema={"type": "object", "additionalProperties": {"type": "number", "exclusiveMinimum": 0}},
    )


def error_fractions(settings: dict[str, Any]) -> np.ndarray:
    """Observation error over the climatological standard deviation, per channel, (69,)."""
    own = settings.get("error_fractions") or {}
    return np.array([own.get(channel.variable, settings["error_fraction"]) for channel in CHANNELS])


class Simulated(Network):
    """See `example_world.twin`."""

    name = "simulated"
    about = "columns of the archive's states at grid points, with Gaussian noise"
    Settings = SimulatedSettings

    @classmethod
    def check(cls, settings: dict[str, Any], points: int) -> None:
        """Refuse more columns than the grid has points."""
        if settings["columns"] > points:
            raise ValueError(f"columns: there are {settings['columns']} columns, but the grid has only {points} points")
