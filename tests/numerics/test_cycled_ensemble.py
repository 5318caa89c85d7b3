"""The ensemble that a filter cycles: where it begins, what is added to its forecasts, and how it is forecast."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import torch
from lora_envar.background.cycled_ensemble import additive_errors, first_members
from lora_envar.background.training_set import TrainingSet, write_samples
from lora_envar.fields.grid import Grid
from lora_envar.fields.seeds import generator
from lora_envar.forecast.model import ForecastModel
from lora_envar.forecast.perturbed import forecast_errors
from lora_envar.forecast.stepping import forecast_members

GRID = Grid("gaussian", 4, 8)
COUNT = 30
TIME = datetime(2009, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """Errors of a mean of 2 and a standard deviation that differs between channels."""
    path = tmp_path_factory.mktemp("samples") / "errors.nc"
    draws = torch.randn(COUNT, 69, *GRID.shape, generator=generator(1))
    fields = 2.0 + torch.linspace(0.5, 3.0, 69)[:, None, None] * draws
    write_samples(path, [(list(range(COUNT)), fields.numpy())], GRID)
    return TrainingSet(path)


def test_the_first_members_are_the_background_and_errors_of_zero_mean(samples):
    background = torch.randn(69, *GRID.shape, generator=generator(2))
    members = first_members(background, samples, 10, 1)
    torch.testing.assert_close(members.mean(0), background, rtol=0, atol=1e-5)
    drawn = samples.draw(10, 1, "first members")
    torch.testing.assert_close(members - background, drawn - drawn.mean(0), rtol=0, atol=1e-5)
    assert torch.equal(members, first_members(background, samples, 10, 1))
    assert not torch.equal(members, first_members(background, samples, 10, 2))
    with pytest.raises(ValueError, match="has 30 forecast errors, but each of the 31 members"):
        first_members(background, samples, 31, 1)


def test_what_is_added_has_zero_mean_and_the_errors_covariance(samples):
    """Over many members, their covariance is share^2 times that of the samples; the samples' mean is of no account."""
    count, share = 4000, 0.7
    added = additive_errors(samples, count, share, 1, "20090101T00")
    assert added.mean(0).abs().max() < 1e-5
    errors = torch.cat(list(samples.centred())).flatten(1)[:, ::37]
    wanted = share**2 * errors.T @ errors / (COUNT - 1)
    found = added.flatten(1)[:, ::37].double()
    # a covariance of N normal draws is known to ((c_ij^2 + c_ii c_jj) / N)^(1/2); five of these
    variance = wanted.diagonal()
    bound = 5 * ((wanted**2 + variance[:, None] * variance) / count).sqrt()
    assert ((found.T @ found / (count - 1) - wanted).abs() < bound).all()


def test_what_is_added_depends_on_seed_and_time_and_scales_with_the_share(samples):
    added = additive_errors(samples, 5, 1.0, 1, "20090101T00")
    assert torch.equal(added, additive_errors(samples, 5, 1.0, 1, "20090101T00"))
    assert not torch.equal(added, additive_errors(samples, 5, 1.0, 1, "20090101T06"))
    assert not torch.equal(added, additive_errors(samples, 5, 1.0, 2, "20090101T00"))
    torch.testing.assert_close(additive_errors(samples, 5, 0.5, 1, "20090101T00"), 0.5 * added, rtol=1e-4, atol=1e-5)
    assert not additive_errors(samples, 5, 0.0, 1, "20090101T00").any()


class Later(ForecastModel):
    """The present plus the length of a step."""

    step_hours = 6

    def step(self, states, previous=None, valid=None):
        return states + self.step_hours


def test_errors_are_forecasts_less_what_came():
    """A forecast of x + lead of a truth that is 10 x the hour: hour 10 h + 6 less 10 (h + 6), whatever the batches."""

    def truth(time):
        hours = (time - TIME) / timedelta(hours=1)
        return np.full((69, *GRID.shape), 10.0 * hours, dtype=np.float32)

    starts = [TIME + timedelta(hours=hours) for hours in (0, 12, 24)]
    for batch in (2, 8):
        found = forecast_errors(Later(), truth, starts, 6, batch=batch, regrid=lambda field: 2 * field)
        assert torch.equal(found, torch.full((3, 69, *GRID.shape), 2 * (6.0 - 60.0)))


class Doubling(ForecastModel):
    """Twice the present less the frame before, and the hour of the date."""

    history = 2
    timed = True
    step_hours = 3

    def step(self, states, previous=None, valid=None):
        hours = torch.tensor([float(time.hour) for time in valid])
        return 2 * states - previous + hours[:, None, None, None]


def test_members_are_forecast_one_like_another_whatever_the_batches():
    """x, x0 -> 2 x - x0 + 0, then 2 (2 x - x0) - x + 3 = 3 x - 2 x0 + 3 at 6 h."""
    members, before = torch.randn(2, 5, 69, *GRID.shape, generator=generator(3))
    for batch in (2, 5, 8):
        found = forecast_members(Doubling(), members, 6, before, TIME, batch=batch)
        torch.testing.assert_close(found, 3 * members - 2 * before + 3, rtol=1e-5, atol=1e-5)
    alone = forecast_members(Doubling(), members, 3, None, TIME)
    np.testing.assert_allclose(alone, members, rtol=1e-6, err_msg="the present frame is repeated")
