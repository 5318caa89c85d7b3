"""What a run's jobs took, by rule, and how much of it was not work: from Snakemake's benchmarks and the logs."""

import re
from pathlib import Path

import pandas as pd

#: the last line of a step's log, by `script.step`
_TOOK = re.compile(r"^took ([\d.]+) s, ([\d.]+) s of CPU, (\d+) MB$", re.MULTILINE)


def job_seconds(path) -> float:
    """Seconds of a job, of its benchmark; the mean of repetitions."""
    return pd.read_csv(path, sep="\t", na_values="-")["s"].mean()


def read_costs(benchmarks, logs) -> pd.DataFrame:
    """Times of all jobs that have a benchmark and a log, a row a rule, the costliest first.

    Parameters
    ----------
    benchmarks, logs : path
        The folders of these names, with {rule}.tsv or {rule}/.../{wildcards}.tsv, and logs of the same names.

    Returns
    -------
    DataFrame
        Index rule; jobs, seconds (between start and end of the jobs' processes, summed), work (seconds of these within
        the steps, without imports), cpu (seconds), megabytes (the largest job).
    """
    rows = []
    for path in sorted(Path(benchmarks).rglob("*.tsv")):
        place = path.relative_to(benchmarks).with_suffix("")
        log = Path(logs) / f"{place}.log"
        took = _TOOK.findall(log.read_text(errors="replace")) if log.exists() else []
        if took:
            rows.append((place.parts[0], 1, job_seconds(path), *map(float, took[-1])))
    table = pd.DataFrame(rows, columns=["rule", "jobs", "seconds", "work", "cpu", "megabytes"])
    sums = dict.fromkeys(("jobs", "seconds", "work", "cpu"), "sum") | {"megabytes": "max"}
    return table.groupby("rule").agg(sums).sort_values("seconds", ascending=False)


def shown(costs: pd.DataFrame) -> list[tuple[str, str, list[str], list[list[str]]]]:
    """Title, explanation, headers and rows of the table for a page; nothing where there are no jobs."""
    if costs.empty:
        return []
    total = costs.sum().to_frame("together").T.assign(megabytes=costs.megabytes.max())
    rows = [
        [
            row.Index,
            f"{row.jobs:.0f}",
            f"{row.seconds:.1f}",
            f"{row.work:.1f}",
            f"{(row.seconds - row.work) / row.jobs:.2f}",
            f"{100 * (1 - row.work / row.seconds):.0f}",
            f"{row.megabytes:.0f}",
        ]
        for row in pd.concat([costs, total]).itertuples()
    ]
    about = (
        "Seconds between start and end of the jobs' processes, and of work within: the rest is the start of Python and "
        "imports. What Snakemake and a cluster's queue take between jobs is not in it."
    )
    headers = ["rule", "jobs", "seconds", "of work", "overhead a job", "overhead, %", "memory, MB"]
    return [("What the run took", about, headers, rows)]
