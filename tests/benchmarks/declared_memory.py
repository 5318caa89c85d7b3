"""Whether the rules of a run took the memory that they declare: `python tests/benchmarks/declared_memory.py RUN`.

RUN is a folder in which the workflow has run, such as that of config/paper_rehearsal.yaml. A row per rule: jobs, the
most that one of them took (from its timings, see docs/runtime.md), what the rule declares, and the share of it. The
exit status is 1 if any took more.
"""

import argparse
import re
import sys
from pathlib import Path

import pandas as pd
from lora_envar.verification.costs import read_costs

RULES = Path(__file__).parents[2] / "workflow" / "rules"


def declared() -> dict[str, int]:
    """Memory in MB that every rule declares."""
    found: dict[str, int] = {}
    inherited: dict[str, str] = {}
    for path in sorted(RULES.glob("*.smk")):
        name = ""
        for line in path.read_text().splitlines():
            if rule := re.match(r"\s*rule (\w+):", line):
                name = rule.group(1)
            elif used := re.match(r"\s*use rule (\w+) as (\w+) with:", line):
                name = used.group(2)
                inherited[name] = used.group(1)
            elif memory := re.match(r"\s*mem_mb=(\d+),", line):
                found[name] = int(memory.group(1))
    return {**{name: found[base] for name, base in inherited.items()}, **found}


def compared(folder: Path) -> pd.DataFrame:
    """Rules of a run by the share of the declared memory that they took: jobs, used and declared in MB, share."""
    costs = read_costs(folder / "benchmarks", folder / "logs")
    table = costs[["jobs", "peak_megabytes"]].rename(columns={"peak_megabytes": "used"})
    memory = declared()
    table["declared"] = [memory[rule] for rule in table.index]
    table["share"] = table.used / table.declared
    return table.sort_values("share", ascending=False)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder in which the workflow has run")
    table = compared(parser.parse_args().run)
    print(table.round({"used": 0, "share": 2}).to_string())
    return int((table.share > 1).any())


if __name__ == "__main__":
    sys.exit(main())
