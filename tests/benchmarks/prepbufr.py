"""How fast PrepBUFR is decoded: `python tests/benchmarks/prepbufr.py [file]`.

Without a file it writes one of about 60 MB, the size of a GDAS file, of soundings, surface, ship, aircraft and
satellite reports in shares like those of one. Decodes it on one core; prints reports a second and the peak of memory.
"""

import resource
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from lora_envar.example_world.prepbufr_writer import write_prepbufr
from lora_envar.observations.prepbufr import COLUMNS, VARIABLES, Reports, iterate_prepbufr, read_prepbufr

SIZE = 60e6  # bytes
CYCLE = datetime(2022, 8, 24, 6, tzinfo=UTC)
#: category, report type, variables, levels, reports
MIX = (
    ("ADPUPA", 120, "pqtz", 80, 20),
    ("ADPUPA", 220, "puv", 80, 20),
    ("PROFLR", 223, "puv", 40, 10),
    ("ADPSFC", 187, "pqtz", 1, 1200),
    ("ADPSFC", 287, "puv", 1, 1200),
    ("SFCSHP", 180, "pqtz", 1, 300),
    ("SFCSHP", 280, "puv", 1, 300),
    ("AIRCAR", 133, "pt", 1, 1000),
    ("AIRCAR", 233, "puv", 1, 1000),
    ("SATWND", 245, "puv", 1, 1500),
    ("ASCATW", 290, "puv", 1, 600),
)


def reports() -> Reports:
    random = np.random.default_rng(0)
    parts = []
    for category, report_type, variables, levels, count in MIX:
        report, level, variable = (
            index.ravel() for index in np.mgrid[0:count, 0:levels, 0 : len(variables)].astype(int)
        )
        pressure = (1000.0 - 10 * level).round(1)
        names = np.array(list(variables))[variable]
        value = random.integers(-200, 200, len(names)) / 10
        value[names == "t"] += 273.15
        value[names == "q"] = random.integers(0, 20000, (names == "q").sum()) * 1e-6
        value[names == "z"] = 98.0665 * random.integers(0, 2000, (names == "z").sum())
        value[names == "p"] = 100.0 * pressure[names == "p"]
        drift = level * 0.001 if category == "ADPUPA" else 0.0 * level
        parts.append(
            {
                "category": np.full(len(names), category, dtype="S8"),
                "report_type": np.full(len(names), report_type),
                "station": np.char.add(b"S", report.astype("S6")),
                "latitude": random.uniform(-80, 80, count)[report] + drift,
                "longitude": random.uniform(0, 359, count)[report] + drift,
                "time_offset": random.uniform(-3, 2, count)[report] + drift,
                "elevation": np.full(len(names), 100.0),
                "level_category": np.full(len(names), 1 if levels > 1 else 0),
                "pressure": pressure,
                "variable": np.array([VARIABLES.index(name) for name in names]),
                "value": value,
                "error": np.where(np.isin(names, ["q", "z"]), np.nan, 1.5),
                "quality": np.full(len(names), 2),
                "virtual": names == "t",
            }
        )
    return Reports(CYCLE, **{name: np.concatenate([part[name] for part in parts]) for name in COLUMNS})


def write(path: Path):
    """The mix again and again, until the file is large; each category in one place, as in files of NCEP."""
    table = reports()
    earlier = np.where(table.variable == VARIABLES.index("t"), table.value - 0.5, np.nan)[None]
    write_prepbufr(path, CYCLE, table, earlier)
    data, start, times = path.read_bytes(), 0, round(SIZE / path.stat().st_size)
    with open(path, "wb") as file:
        while start < len(data):
            message = data[start : start + int.from_bytes(data[start + 4 : start + 7], "big")]
            file.write(message if message[16] == 11 else message * times)
            start += len(message)


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(path: Path):
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB; before reading {peak():.0f} MB of memory")
    start = time.perf_counter()
    counts = {}
    for piece in iterate_prepbufr(path):
        for name, count in piece.counts.items():
            counts[name] = counts.get(name, 0) + count
    seconds, total = time.perf_counter() - start, sum(counts.values())
    print(f"in pieces: {total} reports in {seconds:.2f} s, {total / seconds:.0f} a second, peak {peak():.0f} MB")
    start = time.perf_counter()
    table = read_prepbufr(path)
    seconds = time.perf_counter() - start
    print(
        f"at once: {len(table)} data in {seconds:.2f} s, {total / seconds:.0f} reports a second, peak {peak():.0f} MB"
    )
    print("reports by category:", counts)
    types, data = np.unique(table.report_type, return_counts=True)
    print("data by report type:", dict(zip(types.tolist(), data.tolist(), strict=True)))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder) / "gdas.prepbufr")
            main(Path(folder) / "gdas.prepbufr")
