"""The types of observations, by name and by the code that they have in tables."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..fields.state import SURFACE, VARIABLES
from ..registry import Registry
from .observation_type import ObservationType

#: the classes of the types, by name
OBSERVATION_TYPES = Registry("types", ObservationType)

_LARGEST_CODE = 127  # of a signed byte


def _known_types() -> dict[str, ObservationType]:
    """All types in the order of their codes, each checked for what files and operators need.

    Raises
    ------
    TypeError
        If a type has the code of another, or inputs that the state does not have at its place.
    """
    by_code: dict[int, ObservationType] = {}
    for name, declared in OBSERVATION_TYPES.items():
        kind = declared()
        if not 0 <= kind.code <= _LARGEST_CODE:
            raise TypeError(f"type {name}: its code is {kind.code}, but must be from 0 to {_LARGEST_CODE}")
        if kind.code in by_code:
            raise TypeError(f"type {name}: its code {kind.code} belongs to {by_code[kind.code].name}; give it another")
        available = SURFACE if kind.surface else tuple(VARIABLES)
        unknown = [variable for variable in kind.inputs if variable not in available]
        if unknown or not kind.inputs:
            raise TypeError(
                f"type {name}: its inputs are {', '.join(kind.inputs) or 'none'}, but must be among those that the "
                f"state has there: {', '.join(available)}"
            )
        by_code[kind.code] = kind
    return {kind.name: kind for _, kind in sorted(by_code.items())}


#: name -> type, in the order of their codes
TYPES: dict[str, ObservationType] = _known_types()
#: name -> code in the column `variable` of a table
CODES: dict[str, int] = {name: kind.code for name, kind in TYPES.items()}


def by_code(of_type: Callable[[ObservationType], Any], missing: Any) -> np.ndarray:
    """The results of a function for each type, to be indexed by codes; `missing` for codes without a type."""
    values = [missing] * (max(CODES.values()) + 1)
    for kind in TYPES.values():
        values[kind.code] = of_type(kind)
    return np.array(values)


_NAMES = by_code(lambda kind: kind.name, "")
_SURFACE = by_code(lambda kind: kind.surface, False)


def name_of(code: int) -> str:
    """The name of the type with a code."""
    return str(_NAMES[code])


def names_of(codes: np.ndarray) -> np.ndarray:
    """Names of the types of codes, (rows,) each."""
    return _NAMES[codes]


def at_surface(codes: np.ndarray) -> np.ndarray:
    """Which codes belong to surface types, (rows,) of bool."""
    return _SURFACE[codes]


def types_among(codes: np.ndarray) -> list[ObservationType]:
    """The types that codes stand for, each once, in the order of codes."""
    return [TYPES[name_of(code)] for code in np.unique(codes)]
