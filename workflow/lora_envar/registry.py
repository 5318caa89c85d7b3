"""Registries: what may be named in a configuration, found where it is defined.

A registry holds one class of each module in the packages of one name, in whichever room of the package these lie:
`registered("methods", Method)` finds those of ``analysis/methods/``. To add one is to add a module; nothing lists it.
Such modules import what is heavy (torch, xarray) within functions, since Snakemake reads them at every start.
"""

import importlib
import pkgutil
from pathlib import Path
from typing import TypeVar

Kind = TypeVar("Kind")

PACKAGE = Path(__file__).parent


def registered(packages: str, base: type[Kind]) -> dict[str, type[Kind]]:
    """All classes derived from `base` with a `name` of their own, by that name, in the order of names.

    Parameters
    ----------
    packages : str
        Name of the packages in which they are defined, as ``methods``.
    base : type

    Raises
    ------
    TypeError
        If two have the same name.
    """
    found: dict[str, type[Kind]] = {}
    for room in sorted(PACKAGE.iterdir()):
        folder = room / packages
        if not (folder / "__init__.py").exists():
            continue
        for module in pkgutil.iter_modules([str(folder)]):
            contents = importlib.import_module(f"{__package__}.{room.name}.{packages}.{module.name}")
            for value in vars(contents).values():
                if not (isinstance(value, type) and issubclass(value, base) and value.__dict__.get("name")):
                    continue
                name = value.__dict__["name"]
                if found.setdefault(name, value) is not value:
                    raise TypeError(f"{value.__module__}: {name!r} is the name of {found[name].__module__}, too")
    return dict(sorted(found.items()))
