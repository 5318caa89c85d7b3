"""The parts of config/README.md that are made from registries: methods, forecast models, archive sources, networks.

`python -m lora_envar.plan.documentation config/README.md` writes them anew, between the marks that stand there.
"""

import sys
import textwrap
from pathlib import Path

from ..analysis import METHODS
from ..archive import SOURCES
from ..files.tables import markdown_table
from ..forecast import MODELS
from ..observations import NETWORKS
from ..observations.network import CheckedSettings, QualityOptions
from ..settings import meanings_of

#: settings of all models, explained beside the table
COMMON = ("weights", "sha256")
#: characters in a line of prose
WIDTH = 120


def parts() -> dict[str, str]:
    """Markdown by the name of its mark."""
    return {"methods": _methods(), "models": _models(), "sources": _sources(), "networks": _networks()}


def filled(text: str) -> str:
    """A page with its marked parts made anew.

    Raises
    ------
    ValueError
        If a mark is missing.
    """
    for name, part in parts().items():
        begin = f"<!-- {name}: made by lora_envar.plan.documentation -->"
        end = f"<!-- end of {name} -->"
        if begin not in text or end not in text:
            raise ValueError(f"the marks '{begin}' and '{end}' are missing")
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}\n{part}\n{end}{after}"
    return text


def _methods() -> str:
    """A row per setting and meaning, with the methods that have it."""
    meanings: dict[tuple[str, str], list[str]] = {}
    for name, method in METHODS.items():
        for settings in method.settings_classes():
            for key, meaning in meanings_of(settings).items():
                meanings.setdefault((key, meaning), []).append(f"`{name}`")
    rows = [[f"`{key}`", ", ".join(methods), meaning] for (key, meaning), methods in meanings.items()]
    return markdown_table(["key", "methods", "meaning"], rows)


def _models() -> str:
    rows = []
    for name, model in MODELS.items():
        keys = [f"`{key}`: {what}" for key, what in meanings_of(model.Settings).items() if key not in COMMON]
        rows.append([f"`{name}`", model.about, "; ".join(keys)])
    return markdown_table(["`name`", "what it is", "further keys"], rows)


def _networks() -> str:
    """A table per kind of network, and one for the settings that all checked networks share."""
    shared = meanings_of(CheckedSettings)
    tables = []
    for name, network in NETWORKS.items():
        own = {
            key: what for key, what in meanings_of(network.Settings).items() if not network.checked or key not in shared
        }
        more = " The keys of checked networks, below, apply as well." if network.checked else ""
        rows = [[f"`{key}`", what] for key, what in own.items()]
        about = textwrap.fill(f"`source: {name}`: {network.about}.{more}", WIDTH, break_on_hyphens=False)
        tables.append(f"{about}\n\n{markdown_table(['key', 'meaning'], rows)}")
    checked = ", ".join(f"`{name}`" for name, network in NETWORKS.items() if network.checked)
    rows = [[f"`{key}`", what] for key, what in shared.items()]
    tables.append(f"All checked networks ({checked}) take these keys:\n\n{markdown_table(['key', 'meaning'], rows)}")
    rows = [[f"`{key}`", what] for key, what in meanings_of(QualityOptions).items()]
    tables.append(f"Their section `quality` has these keys:\n\n{markdown_table(['key', 'meaning'], rows)}")
    return "\n\n".join(tables)


def _sources() -> str:
    rows = []
    for name, source in SOURCES.items():
        keys = [f"`{key}`: {what}" for key, what in meanings_of(source.Settings).items()]
        rows.append([f"`{name}`", source.about, "; ".join(keys)])
    return markdown_table(["`source`", "what it is", "further keys"], rows)


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(filled(page.read_text()))
