"""What an ensemble spans of an error, and its spread, against cases whose answer is known."""

from datetime import UTC, datetime

import pytest
import torch
from lora_envar.fields.grid import Grid
from lora_envar.fields.seeds import generator
from lora_envar.verification.ensemble import diagnose, spanned_share, spread_over_error

GRID = Grid("gaussian", 8, 16)


def fields(*shape, seed):
    return torch.randn(*shape, 69, *GRID.shape, dtype=torch.float64, generator=generator(seed))


def test_a_combination_of_perturbations_is_spanned_whole_and_what_is_orthogonal_to_them_is_not():
    members = fields(5, seed=1)
    inside = ((members - members.mean(0)) * torch.tensor([1.0, -2, 0.5, 3, 0]).view(-1, 1, 1, 1)).sum(0)
    assert spanned_share(inside, members, GRID) == pytest.approx(1.0, abs=1e-12)
    # an error in channels of which the members have nothing adds to its mean square and not to what is spanned
    members[:, 40:], inside[40:] = 0.0, 0.0
    outside = fields(seed=2)
    outside[:40] = 0.0
    outside *= (GRID.mean(inside**2).mean() / GRID.mean(outside**2).mean()).sqrt()
    assert spanned_share(inside + outside, members, GRID) == pytest.approx(0.5, rel=1e-10)


def test_members_of_no_relation_span_their_number_of_directions():
    """Seven of n random directions hold 7 / n of a white error on average, with a deviation of sqrt(2 * 7) / n."""
    size = 69 * GRID.nlat * GRID.nlon
    share = spanned_share(fields(seed=3), fields(8, seed=4), GRID)
    assert abs(share - 7 / size) < 5 * 14**0.5 / size


def test_members_and_truth_of_one_distribution_have_a_spread_like_their_error():
    draws = fields(9, seed=5)
    assert spread_over_error(draws[:8], draws[8], GRID) == pytest.approx(1.0, abs=0.03)
    assert spread_over_error(2 * draws[:8], 2 * draws[8], GRID) == pytest.approx(1.0, abs=0.03)
    assert spread_over_error(0.5 * draws[:8], draws[8], GRID) < 0.6


def test_the_members_of_the_day_are_told_from_those_of_another():
    members, truth = fields(4, seed=6), fields(seed=7)
    background = truth + members[0] - members.mean(0)
    time = datetime(2009, 5, 1, 6, tzinfo=UTC)
    deviation = torch.linspace(0.5, 2.0, 69)
    table = diagnose("a", [(time, background, truth, members, fields(4, seed=8))], deviation, GRID)
    row = table.iloc[0]
    assert (row.experiment, row.valid_time, row.members) == ("a", "2009-05-01T06", 4)
    assert row.share == pytest.approx(1.0, abs=1e-10) and row.share_of_other_days < 0.01
