"""What the Snakefile does before and when a run starts: refuse in one line, and mark brought files and figures."""

import os
import sys
from collections.abc import Iterable
from typing import Any, NoReturn

from snakemake.io import ancient, report


def refuse(*messages: str) -> NoReturn:
    """End with a line per message, the last that are seen."""
    sys.exit("\n".join(f"error: {message}" for message in messages))


def present(*paths: str | None) -> Any:
    """Files that are brought, without those that are missing; their contents count, not their times."""
    there = [path for path in paths if path and os.path.exists(path)]
    return ancient(there[0] if len(paths) == 1 and there else there)


def present_all(paths: list[str]) -> Any:
    """`present` of some files, as a list whatever their number."""
    return ancient([path for path in paths if os.path.exists(path)])


def present_by_name(files: dict[str, str]) -> dict[str, Any]:
    """`present` of each of some files."""
    return {name: present(path) for name, path in files.items()}


def figure(name: str) -> list[Any]:
    """A figure of the results as SVG, which `snakemake --report` shows with its caption, and as PNG."""
    drawn = report(f"results/figures/{name}.svg", caption=f"../report/{name}.rst", category="Figures")
    return [drawn, f"results/figures/{name}.png"]


def model_input(brought: list[str], made: list[str]) -> list[Any]:
    """Files of a forecast model: those that are brought as `present_all` has them, and those that a rule makes."""
    return [*present_all(brought), *made]


def made_or_present(made: str, brought: list[str]) -> Any:
    """Files that are brought, as `present` has them; where there are none, the one that a rule makes in their place."""
    return present(*brought) if brought else made


def needed_but_missing(missing: list[tuple[str, str]], jobs: Iterable[Any]) -> list[str]:
    """A line for each missing file that a job needs, as the jobs' params `brought` say.

    Parameters
    ----------
    missing : list of (key, path)
    jobs : iterable of snakemake.jobs.Job
    """
    needed = {
        path: job.rule.name
        for job in jobs
        for path, digest in (job.params.get("brought") or {}).items()
        if digest is None
    }
    return [
        f"{key}: {path} is missing, and {needed[path]} needs it; provide the file, or name another"
        for key, path in missing
        if path in needed
    ]
