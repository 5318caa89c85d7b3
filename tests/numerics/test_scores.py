"""Spectra and ensemble scores against independent ones, and against what they must be."""

import numpy as np
import pytest
import xarray as xr
import xskillscore
from lora_envar.fields.grid import Grid
from lora_envar.fields.state import HEADLINE, NAMES, channel_index
from lora_envar.verification.ensemble_scores import EnsembleScores
from lora_envar.verification.spectra import COLUMNS, of_cycles, pooled

GRID = Grid("gaussian", 16, 32)


def fields(*leading, seed=1):
    return np.random.default_rng(seed).standard_normal((*leading, 69, *GRID.shape)).astype("f4")


def waves(degree_two):
    """The state whose channels are so many times the zonal harmonic of degree two, of unit mean square."""
    sine = np.sin(np.radians(GRID.latitude))
    harmonic = np.sqrt(5.0) / 2.0 * (3.0 * sine**2 - 1.0)
    return np.broadcast_to((degree_two * harmonic)[:, None], (69, *GRID.shape)).astype("f4")


def test_the_power_of_one_wave_is_at_its_wavenumber():
    table = of_cycles("a", [(waves(5.0), waves(2.0), waves(4.0))], [(24, waves(1.0), waves(4.0))], GRID)
    assert list(table.columns) == COLUMNS
    assert len(table) == 7 * len(HEADLINE) * 16
    power = table.pivot_table(index="wavenumber", columns=["kind", "lead_hours"], values="power")
    expected = {
        ("truth", 0): 16.0,
        ("analysis", 0): 25.0,
        ("increment", 0): 9.0,
        ("analysis_error", 0): 1.0,
        ("background_error", 0): 4.0,
        ("forecast", 24): 1.0,
        ("forecast_error", 24): 9.0,
    }
    for key, value in expected.items():
        assert power[key][2] == pytest.approx(value, rel=1e-5)
        assert power[key].drop(2).abs().max() < 1e-9


def test_spectra_of_blocks_are_pooled_by_their_states():
    three = of_cycles("a", [(waves(3.0), waves(0.0), waves(0.0))] * 3, [], GRID)
    other = of_cycles("a", [(waves(1.0), waves(0.0), waves(0.0))], [], GRID)
    found = pooled([three, other])
    row = found[(found.kind == "analysis") & (found.wavenumber == 2)]
    assert row.power.to_numpy() == pytest.approx((3 * 9 + 1) / 4, rel=1e-5)
    assert (row.states == 4).all()
    assert len(found) == len(other)


def test_the_crps_and_the_spread_are_those_of_xskillscore():
    members = fields(5)
    truth = fields(seed=2)
    scores = EnsembleScores(GRID)
    scores.add(members, truth)
    table = scores.table()
    row = table[(table.variable == "t") & (table.level == 850) & (table.region == "global")].iloc[0]
    index = channel_index("t850")
    ensemble = xr.DataArray(members[:, index].astype(float), dims=("member", "lat", "lon"))
    observed = xr.DataArray(truth[index].astype(float), dims=("lat", "lon"))
    weights = xr.DataArray(np.broadcast_to(GRID.area_weights[:, None], GRID.shape), dims=("lat", "lon"))
    # theirs counts every pair and every member with itself: the fair one takes the latter off
    pairs = np.abs(members[:, None, index] - members[None, :, index]).sum((0, 1)) / 2
    unfair = xskillscore.crps_ensemble(observed, ensemble, weights=weights).item()
    correction = np.average(pairs * (1 / (5 * 4) - 1 / 25), weights=weights)
    assert row.crps == pytest.approx(unfair - correction, rel=1e-5)
    variance = np.average(ensemble.var("member", ddof=1), weights=weights)
    assert row.spread == pytest.approx(variance**0.5)
    assert row.error == pytest.approx(xskillscore.rmse(ensemble.mean("member"), observed, weights=weights).item())
    assert (row.members, row.cycles) == (5, 1)


def test_members_like_the_truth_have_the_right_spread_and_flat_ranks():
    scores = EnsembleScores(GRID)
    for cycle in range(3):
        drawn = fields(8, seed=10 + cycle)
        scores.add(drawn[1:], drawn[0])
    table = scores.table()
    whole = table[table.region == "global"]
    assert len(whole) == len(NAMES)
    assert whole.spread_over_error.mean() == pytest.approx(1.0, abs=0.01)
    ranks = scores.ranks()
    shares = ranks[ranks.region == "global"].groupby("rank").share.mean()
    assert shares.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(shares, 1 / 8, rtol=0.06)


def test_too_small_a_spread_shows_in_both():
    scores = EnsembleScores(GRID)
    drawn = fields(8)
    scores.add(0.5 * drawn[1:], drawn[0])
    assert scores.table().spread_over_error.mean() < 0.6
    ranks = scores.ranks()
    shares = ranks[ranks.region == "global"].groupby("rank").share.mean()
    assert min(shares[0], shares[7]) > 2 * shares[3]


def test_ensembles_of_another_size_are_refused():
    scores = EnsembleScores(GRID)
    with pytest.raises(ValueError, match="at least 2 members"):
        scores.add(fields(1), fields())
    scores.add(fields(3), fields())
    with pytest.raises(ValueError, match="expected 3 members in every cycle, got 4"):
        scores.add(fields(4), fields())
    assert EnsembleScores(GRID).table().empty
    assert EnsembleScores(GRID).ranks().empty
