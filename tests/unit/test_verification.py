"""Scores by hand, and a significance test that keeps its level."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import xskillscore
from lora_envar.fields.grid import Grid
from lora_envar.fields.state import channel_index
from lora_envar.verification.gates import Gates
from lora_envar.verification.score import COLUMNS, after_spin_up, channel_of, read_scores, score_all

GRID = Grid("gaussian", 16, 32)
TIME = datetime(2009, 1, 1, tzinfo=UTC)
CLIMATOLOGY = np.random.default_rng(7).normal(size=(69, 16, 32))


def row(table, channel, region, metric):
    chosen = table[(channel_of(table) == channel) & (table.region == region) & (table.metric == metric)]
    assert len(chosen) == 1
    return chosen.iloc[0]


def test_scores_are_weighted_by_area_and_kept_to_their_region():
    truth = np.zeros((69, 16, 32))
    state = truth.copy()
    state[channel_index("z500"), :8] = 2.0  # the northern hemisphere: half of the area
    state[channel_index("t2m")] = -1.0
    table = score_all("a", [(TIME, "analysis", 0, state, truth)], GRID, CLIMATOLOGY)
    assert row(table, "z500", "global", "rmse").value == pytest.approx(2 / np.sqrt(2))
    assert row(table, "z500", "global", "bias").value == pytest.approx(1.0)
    assert row(table, "z500", "north", "rmse").value == pytest.approx(2.0)
    assert row(table, "z500", "south", "rmse").value == 0.0
    assert row(table, "t2m", "tropics", "bias").value == pytest.approx(-1.0)
    assert row(table, "t2m", "tropics", "bias").unit == "K"


def test_anomalies_are_scored_as_xskillscore_does():
    random = np.random.default_rng(2)
    truth = CLIMATOLOGY + random.normal(size=CLIMATOLOGY.shape)
    state = truth + 0.5 * random.normal(size=CLIMATOLOGY.shape) + 3.0
    table = score_all("a", [(TIME, "analysis", 0, state, truth)], GRID, CLIMATOLOGY)
    weights = np.broadcast_to(GRID.area_weights[:, None], GRID.shape)
    for region, inside in (("global", slice(None)), ("tropics", np.abs(GRID.latitude) <= 20)):
        fields = [
            xr.DataArray((field - CLIMATOLOGY)[channel_index("u500")][inside], dims=("lat", "lon"))
            for field in (state, truth)
        ]
        area = xr.DataArray(weights[inside], dims=("lat", "lon"))
        found = row(table, "u500", region, "anomaly_correlation")
        assert found.value == pytest.approx(xskillscore.pearson_r(*fields, weights=area).item())
        assert found.unit == "1"
        expected = np.sqrt(np.cov(fields[0].values.ravel(), aweights=area.values.ravel(), ddof=0))
        assert row(table, "u500", region, "activity").value == pytest.approx(expected)
        expected = xskillscore.rmse(*fields, weights=area).item()
        assert row(table, "u500", region, "rmse").value == pytest.approx(expected)


def scores(difference, n=60):
    random = np.random.default_rng(1)
    base = 10 + random.normal(size=n)
    noise = random.normal(size=n) * 0.1
    rows = []
    for name, values in (("base", base), ("other", base + difference + noise)):
        for cycle, value in enumerate(values):
            stamp = pd.Timestamp("2009-01-01") + pd.Timedelta(6 * cycle, "h")
            rows.append([name, f"{stamp:%Y-%m-%dT%H}", "analysis", 0, "z", 500, "global", "rmse", value, "m2 s-2"])
    return pd.DataFrame(rows, columns=COLUMNS)


def test_scores_of_blocks_are_joined_by_experiment_kind_and_time(tmp_path):
    state = np.zeros((69, 16, 32), dtype=np.float32)
    for experiment in "ba":
        for block in range(2):
            entries = [(TIME + timedelta(days=block), kind, 0, state, state) for kind in ("background", "analysis")]
            score_all(experiment, entries, GRID, CLIMATOLOGY).to_csv(tmp_path / f"{experiment}{block}.csv", index=False)
    table = read_scores(*(tmp_path / f"{name}.csv" for name in ("b0", "b1", "a0", "a1")))
    keys = table[["experiment", "kind", "valid_time"]].drop_duplicates()
    expected = [
        (name, kind, f"{TIME + timedelta(days=block):%Y-%m-%dT%H}")
        for name in "ba"
        for kind in ("analysis", "background")
        for block in range(2)
    ]
    assert list(keys.itertuples(index=False, name=None)) == expected


def test_the_spin_up_is_left_out_by_experiment():
    kept = after_spin_up(scores(0.0), {"base": "20090103T00", "other": "20090105T06"})
    first = kept.groupby("experiment").valid_time.min().to_dict()
    assert first == {"base": "2009-01-03T00", "other": "2009-01-05T06"}


def test_gates_fail_beyond_their_limits_and_on_nan():
    gates = Gates()
    for value in (0.5, 1.5, np.nan):
        gates.add("part", "gate", "quantity", value, 0.0, 1.0)
    assert gates.table().passed.tolist() == [True, False, False]
