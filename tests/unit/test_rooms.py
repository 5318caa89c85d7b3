"""The rooms of the package: what each may import, so that imports go one way and science needs no Snakemake."""

import ast
from pathlib import Path

import lora_envar
import pytest

PACKAGE = Path(lora_envar.__file__).parent

#: from the ground up: a room imports those before it
ORDER = (
    "registry",
    "settings",
    "fields",
    "files",
    "runtime",
    "networks",
    "archive",
    "forecast",
    "background",
    "observations",
    "analysis",
    "verification",
    "example_world",
    "plan",
    "export",
    "command",
)
#: what may not be imported by a room, though it comes before
FORBIDDEN = {
    "runtime": {"registry", "settings", "fields"},
    "plan": {"networks", "background"},
}
#: what a room may import in no module, at the top or within functions
OUTSIDE = {
    "plan": {"torch", "xarray", "netCDF4", "scipy", "snakemake"},
    "fields": {"snakemake"},
    "background": {"snakemake"},
    "analysis": {"snakemake"},
}


def modules():
    return sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.name != "__init__.py")


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path):
    """Rooms, and packages of others, that a module imports anywhere but for type checks."""
    tree = ast.parse(path.read_text())
    skipped = {
        node
        for guard in ast.walk(tree)
        if isinstance(guard, ast.If) and "TYPE_CHECKING" in ast.unparse(guard.test)
        for node in ast.walk(guard)
    }
    here = path.relative_to(PACKAGE).parts
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield None, alias.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield None, node.module.partition(".")[0]
        elif isinstance(node, ast.ImportFrom):
            base = list(here[: len(here) - node.level])
            full = [*base, *(node.module or "").split(".")] if node.module else base
            for name in [full[0]] if full else [alias.name for alias in node.names]:
                if name != "__version__":
                    yield name, None


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_those_before_it(path):
    room = room_of(path)
    rank = ORDER.index(room)
    for other, package in imported(path):
        if package is not None:
            assert package not in OUTSIDE.get(room, ()), f"{room} imports {package}"
            assert package != "lora_envar", "imports within the package are relative"
        elif other != room:
            assert ORDER.index(other) < rank, f"{room} imports {other}, which comes after it"
            assert other not in FORBIDDEN.get(room, ()), f"{room} imports {other}"


def test_every_room_is_known():
    assert {room_of(path) for path in modules()} == set(ORDER)
