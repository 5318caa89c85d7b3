"""Warm starts before Snakemake is imported.

Snakemake 9 puts lines before every script that import Snakemake, which takes longer than all else of a warm start. Here
a line before these hands the script over; the child, which has Snakemake imported, runs all of it.
"""

from pathlib import Path

from snakemake.script import PythonScript

_write = getattr(PythonScript, "write_script", None)
_FIRST = "import sys; sys.path.append({!r}); from lora_envar.runtime import warm_start; warm_start.hand_over()\n"


def hand_over_early() -> bool:
    """Let the scripts that this process starts hand themselves over in their first line; whether that could be done."""
    if _write is None:
        return False
    PythonScript.write_script = _write_script
    return True


def _write_script(script, preamble, file):
    first = _FIRST.format(str(Path(__file__).resolve().parents[3]))
    _write(script, preamble if script.container_img else first + preamble, file)
