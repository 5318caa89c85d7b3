"""Does the flow say how large the background's error is? `python tests/benchmarks/flow_and_variance.py RUN FILTER`.

RUN is the results of an experiment (results/vae_var_quasi_uniform_125, say), FILTER those of a filter beside it. The
square of every background's error over its mean at that place is regressed, with a logarithmic link and a Gamma law,
on the background's wind, vorticity, gradients and moisture, on the filter's spread, and on both, in one half of the
cycles. The table has the correlation of what that says with the squares in the other half, and its gain of the Gaussian
log-likelihood, in nats per grid point. That gain bounds what an error model has of a variance that depends on the
background.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import statsmodels.api as sm
from lora_envar.fields.constants import EARTH_RADIUS
from lora_envar.fields.grid import Grid
from lora_envar.fields.state import channel_index
from lora_envar.fields.timeline import parse
from lora_envar.files.ensemble_file import read_ensemble
from lora_envar.files.state_file import Archive, read_state
from scipy.ndimage import uniform_filter

CHANNELS = ("z500", "t850", "u500", "q700")
SPIN_UP = 8
#: standard deviations beyond which predictors are cut
LARGEST = 4.0


def gradient(field: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Eastward and northward derivative of (lat, lon), per metre."""
    latitude = np.deg2rad(grid.latitude)
    step = 2 * np.deg2rad(360 / grid.shape[1])
    east = (np.roll(field, -1, axis=1) - np.roll(field, 1, axis=1)) / (step * np.cos(latitude)[:, None])
    return east / EARTH_RADIUS, np.gradient(field, latitude, axis=0) / EARTH_RADIUS


def predictors(background: np.ndarray, grid: Grid) -> np.ndarray:
    """What the background tells of its flow, (predictors, lat, lon)."""
    u, v, t, q = (background[channel_index(name)].astype(float) for name in ("u500", "v500", "t850", "q700"))
    vorticity = gradient(v, grid)[0] - gradient(u, grid)[1]
    return np.stack(
        [
            np.hypot(u, v),
            np.sqrt(np.abs(vorticity)),
            np.sqrt(np.hypot(*gradient(t, grid))),
            np.sqrt(np.hypot(*gradient(q, grid))),
            q,
            t - t.mean(axis=1, keepdims=True),
        ]
    )


def gains(squares: np.ndarray, known: np.ndarray, weights: np.ndarray, fitted: np.ndarray) -> tuple[float, float]:
    """Correlation and gain in the cycles that are not `fitted`.

    Parameters
    ----------
    squares : (cycles, lat, lon)
    known : (cycles, predictors, lat, lon)
    weights : (lat, lon)
        Of area, of mean 1.
    fitted : (cycles,) of bool
    """
    centre = known[fitted].mean(axis=(0, 3), keepdims=True)
    deviation = known[fitted].std(axis=(0, 3), keepdims=True).clip(1e-12)
    scaled = np.clip((known - centre) / deviation, -LARGEST, LARGEST)
    base = uniform_filter(squares[fitted].mean(axis=0), 3, mode=("nearest", "wrap"))
    ratio = squares / base

    def rows(chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        design = sm.add_constant(np.moveaxis(scaled[chosen], 1, -1).reshape(-1, known.shape[1]), has_constant="add")
        return ratio[chosen].ravel().clip(1e-12), design, np.broadcast_to(weights, ratio[chosen].shape).ravel()

    values, design, weight = rows(fitted)
    law = sm.families.Gamma(sm.families.links.Log())
    model = sm.GLM(values, design, family=law, var_weights=weight).fit()
    level = np.average(values, weights=weight)
    values, design, weight = rows(~fitted)
    variance = model.predict(design)

    def likelihood(of: np.ndarray | float) -> float:
        return -0.5 * float(np.average(np.log(of) + values / of, weights=weight))

    return float(np.corrcoef(variance, values)[0, 1]), likelihood(variance) - likelihood(level)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("filter", type=Path)
    arguments = parser.parse_args()
    truth = Archive(sorted((arguments.run.parent / "archive" / "states").glob("*.nc")))
    grid = truth.grid
    names = sorted(path.parent.name for path in arguments.run.glob("*/background.nc"))[SPIN_UP:]
    indices = [channel_index(name) for name in CHANNELS]
    errors, flows, spreads = [], [], []
    for name in names:
        background = read_state(arguments.run / name / "background.nc", grid)
        errors.append((background - truth.read(parse(name)))[indices].astype(float))
        flows.append(predictors(background, grid))
        members, _ = read_ensemble(arguments.filter / name / "background_ensemble.nc", parse(name))
        spreads.append(np.log(members[:, indices].std(axis=0)))
    squares = np.array(errors) ** 2
    flow = np.array(flows)
    spread = np.array(spreads)
    weights = grid.area_weights[:, None] * np.ones(grid.shape)
    first = np.arange(len(names)) < len(names) // 2
    table = []
    for index, channel in enumerate(CHANNELS):
        own = spread[:, index : index + 1]
        for what, known in {"flow": flow, "spread": own, "both": np.concatenate([flow, own], axis=1)}.items():
            halves = [gains(squares[:, index], known, weights, chosen) for chosen in (first, ~first)]
            correlation, gain = np.mean(halves, axis=0)
            table.append((channel, what, round(correlation, 3), round(gain, 4)))
    print(pd.DataFrame(table, columns=["channel", "known", "correlation", "gain"]).to_string(index=False))


if __name__ == "__main__":
    main()
