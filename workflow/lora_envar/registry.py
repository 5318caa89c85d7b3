"""Registries: what may be named in a configuration, found where it is defined.

A registry holds the classes of the modules in the packages of one name, in whichever room of the package these lie:
`Registry("methods", Method)` finds those of ``analysis/methods/``. To add one is to add a module; nothing lists it.
Such modules import what is heavy (torch, xarray) within functions, since Snakemake reads them at every start.
"""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Generic, TypeVar

Kind = TypeVar("Kind")

PACKAGE = Path(__file__).parent


class Registry(Mapping[str, type[Kind]], Generic[Kind]):
    """All classes derived from a base class that have a `name` of their own, by that name, in the order of names.

    The modules are read when the first class is asked for.

    Parameters
    ----------
    packages : str
        Name of the packages in which they are defined, as ``methods``.
    base : type

    Raises
    ------
    TypeError
        When they are asked for, if two have the same name.
    """

    def __init__(self, packages: str, base: type[Kind]) -> None:
        self._packages = packages
        self._base = base

    @cached_property
    def _classes(self) -> dict[str, type[Kind]]:
        found: dict[str, type[Kind]] = {}
        for room in sorted(PACKAGE.iterdir()):
            folder = room / self._packages
            if not (folder / "__init__.py").exists():
                continue
            for module in pkgutil.iter_modules([str(folder)]):
                contents = importlib.import_module(f"{__package__}.{room.name}.{self._packages}.{module.name}")
                for value in vars(contents).values():
                    if not (isinstance(value, type) and issubclass(value, self._base)):
                        continue
                    name = value.__dict__.get("name")
                    if name and found.setdefault(name, value) is not value:
                        raise TypeError(
                            f"{value.__module__}: the name {name!r} is already that of {found[name].__module__}; "
                            "choose another"
                        )
        return dict(sorted(found.items()))

    def __getitem__(self, name: str) -> type[Kind]:
        return self._classes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._classes)

    def __len__(self) -> int:
        return len(self._classes)
