"""Do the last increments say where the background is wrong? `python tests/benchmarks/last_increments.py RUN ...`.

RUN is the results of an experiment (results/latent_lora, say). If errors are the same from cycle to cycle, as those of
a forecast model that drifts back, successive increments point the same way, and the background's error points against
their sum. The correlation of both is then negative; it is positive where increments go too far. If the experiment has
lagged members, the differences of successive ones are these increments, carried to the analysis time by the model; the
table says how much of the mean square of the background's error the first three and the first seven of them span.
Errors are those of all channels, each over its standard deviation.
"""

import argparse
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from lora_envar.fields.timeline import name, parse
from lora_envar.files.state_file import Archive, StateFile, read_state
from lora_envar.verification.ensemble import spanned_share

SPIN_UP = 10
#: cycles of a day, and lagged members
DAY = 4
MEMBERS = 8


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """The cosine of the angle between two vectors."""
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    rows = [about(run) for run in parser.parse_args().runs]
    print(pd.DataFrame(rows).round(3).to_string(index=False))


def about(run: Path) -> dict[str, float | str]:
    """The row of an experiment."""
    truth = Archive(sorted((run.parent / "archive" / "states").glob("*.nc")))
    grid = truth.grid
    times = sorted(path.parent.name for path in run.glob("*/background.nc"))
    backgrounds = np.stack([read_state(run / time / "background.nc", grid) for time in times]).astype(float)
    increments = np.stack([read_state(run / time / "analysis.nc", grid) for time in times]) - backgrounds
    errors = backgrounds - np.stack([truth.read(parse(time)) for time in times])
    deviation = errors[SPIN_UP:].std(axis=(0, 2, 3), keepdims=True)[0]
    weight = np.sqrt(grid.area_weights)[:, None] / deviation
    found: dict[str, list[float]] = {}
    for index in range(SPIN_UP, len(times)):
        day = increments[index - DAY : index].sum(axis=0)
        angle = correlation((errors[index] * weight).ravel(), (day * weight).ravel())
        row = {"correlation": angle, "spanned by the last day": angle**2}
        members = lagged(run, times[index])
        if len(members) == MEMBERS:
            error, ensemble = (torch.from_numpy(field / deviation) for field in (errors[index], np.stack(members)))
            row |= {f"by {count - 1} differences": spanned_share(error, ensemble[:count], grid) for count in (4, 8)}
        for column, value in row.items():
            found.setdefault(column, []).append(value)
    return {"experiment": run.name} | {column: float(np.mean(values)) for column, values in found.items()}


def lagged(run: Path, time: str) -> list[np.ndarray]:
    """The members valid at a time, the youngest first; none if the experiment has none."""
    starts = [name(parse(time) - timedelta(hours=6 * lag)) for lag in range(MEMBERS)]
    paths = [run / start / "members.nc" for start in starts]
    return [StateFile(path).read(parse(time)).astype(float) for path in paths if path.exists()]


if __name__ == "__main__":
    main()
