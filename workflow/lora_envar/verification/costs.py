"""The cost of a run's jobs by rule, and how much of it was overhead: from Snakemake's benchmarks and steps' timings."""

import os
from pathlib import Path

import pandas as pd

from ..files.tables import read_table
from ..runtime.timings import COLUMNS, ENDING

#: how the jobs of a rule are put together
_SUMMARY = {
    "jobs": "sum",
    "seconds": "sum",
    "work_seconds": "sum",
    "import_seconds": "sum",
    "cpu_seconds": "sum",
    "peak_megabytes": "max",
}


def job_seconds(path: str | os.PathLike[str]) -> float:
    """The seconds of a job in its benchmark, averaged over repetitions."""
    return float(pd.read_csv(path, sep="\t", na_values="-")["s"].mean())


def read_costs(benchmarks: str | os.PathLike[str], logs: str | os.PathLike[str]) -> pd.DataFrame:
    """The times of all jobs that have a benchmark and timings, one row per rule, the most expensive first.

    Parameters
    ----------
    benchmarks, logs : path
        The folders of these names, with {rule}.tsv or {rule}/.../{wildcards}.tsv among the benchmarks, and
        {rule}.timings.tsv or {rule}/.../{wildcards}.timings.tsv among the logs.

    Returns
    -------
    DataFrame
        Index rule; jobs, seconds (between start and end of the jobs' processes, summed), work_seconds and
        import_seconds (of these, within the steps), cpu_seconds, peak_megabytes (of the largest job).

    Raises
    ------
    ValueError
        If timings are incomplete, or columns are missing.
    """
    rows = []
    for path in sorted(Path(logs).rglob(f"*{ENDING}")):
        name = str(path.relative_to(logs)).removesuffix(ENDING)
        benchmark = Path(benchmarks) / f"{name}.tsv"
        if not benchmark.exists():
            continue
        try:
            if not path.stat().st_size:  # Snakemake makes the logs that a job which failed has not written
                continue
            row = {"rule": Path(name).parts[0], "jobs": 1, "seconds": job_seconds(benchmark), **_read_timings(path)}
        except (OSError, ValueError):
            if benchmark.exists() and path.exists():
                raise
            continue  # a job that runs beside this one began, and Snakemake removed what it is to write
        rows.append(row)
    table = pd.DataFrame(rows, columns=["rule", *_SUMMARY])
    return table.groupby("rule").agg(_SUMMARY).sort_values("seconds", ascending=False)


def _read_timings(path: Path) -> dict[str, float]:
    """The one row of a file of timings."""
    table = read_table(path, sep="\t")
    missing = [column for column in COLUMNS if column not in table]
    if missing:
        raise ValueError(f"{path} has no {', '.join(missing)}, because another version wrote it; remove it")
    return dict(table.loc[0, list(COLUMNS)])


def shown(costs: pd.DataFrame) -> list[tuple[str, str, list[str], list[list[str]]]]:
    """Title, explanation, headers and rows of the table for a page; empty if there are no jobs."""
    if costs.empty:
        return []
    total = costs.agg(_SUMMARY).to_frame("together").T
    rows = [
        [
            row.Index,
            f"{row.jobs:.0f}",
            f"{row.seconds:.1f}",
            f"{row.work_seconds:.1f}",
            f"{row.import_seconds:.1f}",
            f"{(row.seconds - row.work_seconds) / row.jobs:.2f}",
            f"{100 * (1 - row.work_seconds / row.seconds):.0f}",
            f"{row.peak_megabytes:.0f}",
        ]
        for row in pd.concat([costs, total]).itertuples()
    ]
    about = (
        "The table has the seconds between start and end of the jobs' processes and, of these, the seconds of work "
        "and of imports; the rest is the start of Python. The time that Snakemake and a cluster's queue take between "
        "jobs is not included."
    )
    headers = ["rule", "jobs", "seconds", "of work", "of imports", "overhead a job", "overhead, %", "memory, MB"]
    return [("What the run took", about, headers, rows)]
