"""What mkdocs does beyond its plugins: a page of the API per room of the package, and equations as MathML.

Equations become MathML when the site is built, so that a reader needs neither a script nor a network to see them.
"""

from __future__ import annotations

import contextlib
import re
import unicodedata
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latex2mathml.converter import convert
from mkdocs.structure.files import File, Files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mkdocs.config.defaults import MkDocsConfig

PACKAGE = Path(__file__).resolve().parents[1] / "workflow" / "lora_envar"

#: what pymdownx.arithmatex makes of $...$ and $$...$$
_INLINE = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.DOTALL)
_DISPLAY = re.compile(r'<div class="arithmatex">\\\[(.*?)\\\]</div>', re.DOTALL)
#: a letter in another style. Browsers know no other way to write it than the letters that Unicode has for mathematics
_STYLED = re.compile(r'<mi mathvariant="(bold|bold-italic|script|sans-serif|double-struck)">(&#x[0-9A-Fa-f]+;|\w)</mi>')


def rooms() -> list[str]:
    """Rooms of the package, folders or single modules, by name."""
    folders = [path.parent.name for path in PACKAGE.glob("*/__init__.py")]
    return sorted(folders + [path.stem for path in PACKAGE.glob("*.py") if path.stem != "__init__"])


def modules(room: str) -> Iterator[str]:
    """Dotted names of the public modules of a room, the room itself first."""
    yield f"lora_envar.{room}"
    for path in sorted((PACKAGE / room).rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if path.name != "__init__.py":
            yield ".".join(("lora_envar", *parts))


def on_files(files: Files, config: MkDocsConfig, **_: Any) -> Files:
    """Add a page per room, on which mkdocstrings shows its modules."""
    for room in rooms():
        parts = [f"# {room}", *(f"::: {module}" for module in modules(room))]
        files.append(File.generated(config, f"api/{room}.md", content="\n\n".join(parts) + "\n"))
    return files


def on_page_content(html: str, **_: Any) -> str:
    """Equations as MathML."""
    html = _DISPLAY.sub(lambda found: _mathml(found[1], "block"), html)
    return _INLINE.sub(lambda found: _mathml(found[1], "inline"), html)


def _mathml(latex: str, display: str) -> str:
    mathml = convert(unescape(latex), display=display)
    return _STYLED.sub(lambda found: f'<mi mathvariant="normal">{_letter(unescape(found[2]), found[1])}</mi>', mathml)


def _letter(letter: str, style: str) -> str:
    """A letter in a style; itself where Unicode has none."""
    case, _, name = unicodedata.name(letter).partition(" LETTER ")
    styled = f"{style.replace('bold-italic', 'bold italic').upper()} {case.split()[-1]} {name}"
    for full in (f"MATHEMATICAL {styled}", styled):
        with contextlib.suppress(KeyError):
            return unicodedata.lookup(full)
    return letter
