"""Warm starts before Snakemake is imported.

Snakemake 9 puts lines before every script that import Snakemake, which takes longer than all else of a warm start. Here
a line before these hands the script over; the child, which has Snakemake imported, runs all of it.

Issue: none is known. (Issue 4220 of snakemake is of the imports of Snakemake's own start, not of those of scripts.)

Skipped: where `PythonScript` has no `write_script` of its own; and for scripts that are run in containers, which
have no server.
"""

from pathlib import Path
from typing import IO

from snakemake.script import PythonScript

_FIRST = "import sys; sys.path.append({!r}); from lora_envar.runtime import warm_start; warm_start.hand_over()\n"


def hand_over_early() -> bool:
    """Let the scripts that this process starts hand themselves over in their first line; whether that could be done."""
    if "write_script" not in vars(PythonScript):
        return False
    unpatched = PythonScript.write_script
    first = _FIRST.format(str(Path(__file__).resolve().parents[3]))

    def write_script(script: PythonScript, preamble: str, file: IO[bytes]) -> None:
        unpatched(script, preamble if script.container_img else first + preamble, file)

    PythonScript.write_script = write_script
    return True
