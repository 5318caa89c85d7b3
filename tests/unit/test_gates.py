"""Gates of a forecast model of two frames, never the same one twice; and of what error models have learned."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import torch
from lora_envar.background.training_set import TrainingSet, write_samples
from lora_envar.fields.grid import Grid
from lora_envar.fields.harmonics import SphericalHarmonics
from lora_envar.fields.seeds import generator
from lora_envar.forecast.model import ForecastModel
from lora_envar.verification.gates import Gates, forecast_errors, forecast_gates, judge_by_place
from lora_envar.verification.learned import Comparison, control, describe

START = datetime(2009, 3, 1, tzinfo=UTC)


class GrowingArchive:
    """States whose values are the hours since the start of the archive, and a field that varies in longitude."""

    def __init__(self, days):
        self.grid = Grid("gaussian", 16, 32)
        self.times = [START + timedelta(hours=6 * index) for index in range(4 * days)]

    def read(self, time):
        hours = (time - START) / timedelta(hours=1)
        waves = np.sin(np.radians(self.grid.longitude)).astype(np.float32)
        return np.broadcast_to(waves + np.float32(hours), (69, *self.grid.shape)).copy()


class Extrapolation(ForecastModel):
    """The next frame is twice the present one less the one before: exact for what grows evenly."""

    grid = Grid("gaussian", 16, 32)
    step_hours = 6
    differentiable = False
    history = 2

    def step(self, states, previous=None, valid=None):
        assert not torch.equal(states, previous), "the same frame twice"
        return 2 * states - previous


def test_a_model_of_two_frames_is_judged_with_both():
    archive, model = GrowingArchive(14), Extrapolation()
    errors = forecast_errors(model, archive, START, np.zeros((69, 16, 32)))
    np.testing.assert_allclose(errors.model, 0.0, atol=1e-3)
    np.testing.assert_allclose(errors.persistence, errors.lead_hours, rtol=1e-5)
    gates = forecast_gates(model, archive, errors.assign(model=1.0), np.ones(69, dtype=np.float32), seed=1).table()
    kept = gates[gates.quantity.str.contains("shift of the global mean")]
    np.testing.assert_allclose(kept.value, 0.0, atol=1e-2)


def test_a_short_forecast_of_long_steps_is_judged_at_the_leads_that_it_has():
    """Of 6, 24, 48 and 120 h, those of whole steps of 12 h within the 48 h that are asked for."""
    archive, model = GrowingArchive(3), Extrapolation()
    model.step_hours = 12
    errors = forecast_errors(model, archive, START, np.zeros((69, 16, 32)), rollout_hours=48)
    assert sorted(set(errors.lead_hours)) == [24, 48]
    gates = forecast_gates(
        model, archive, errors.assign(model=1.0), np.ones(69, dtype=np.float32), seed=1, rollout_hours=48
    ).table()
    noise = gates[gates.gate == "damps noise"]
    assert [quantity.split(",")[0] for quantity in noise.quantity] == [
        "white noise left after 24 h",
        "white noise left after 48 h",
    ]
    drift = gates[gates.quantity.str.contains("shift of the global mean")]
    np.testing.assert_allclose(drift.value, 0.0, atol=1e-2)


def by_place(pattern):
    """Gates of what samples have learned by place of errors with a pattern, and of what they know of themselves."""
    grid = Grid("gaussian", 16, 32)
    harmonics = SphericalHarmonics(grid, 5, torch.float64)
    white = torch.randn(2, 100, 69, harmonics.size, dtype=torch.float64, generator=generator(1, "errors"))
    samples, errors = harmonics.synthesise(white * (harmonics.degree > 0))
    found = describe(samples, grid), describe(pattern(torch.as_tensor(grid.latitude)[:, None]) * errors, grid)
    gates = Gates()
    judge_by_place(gates, Comparison("homogeneous", "nmc", *found))
    judge_by_place(gates, Comparison("perfect", "nmc", found[1], found[1]))
    return gates.table().set_index(["part", "gate"])


def test_a_homogeneous_error_model_fails_where_errors_have_a_pattern():
    table = by_place(lambda latitude: 0.3 + torch.sin(torch.deg2rad(latitude)) ** 2)
    assert table.loc["perfect"].passed.all()
    homogeneous = table.loc["homogeneous"]
    assert not homogeneous.loc["map of standard deviation"].passed.any()
    assert not homogeneous.loc["standard deviation by latitude"].passed.any()
    assert homogeneous.loc["balance"].passed.all(), "neither has any"


def test_a_homogeneous_error_model_has_the_deviation_of_homogeneous_errors():
    assert by_place(torch.ones_like).loc[("homogeneous", "standard deviation by latitude")].passed.all()


def test_judged_models_are_compared_with_what_was_held_out(tmp_path):
    """The control is of errors before the held-out ones, as many, spread evenly."""
    grid = Grid("gaussian", 16, 32)
    errors = np.random.default_rng(1).normal(size=(20, 69, *grid.shape)).astype(np.float32)
    write_samples(tmp_path / "errors.nc", [(range(20), errors)], grid)
    held_out = [15, 16, 17, 18, 19]
    found = control(TrainingSet(tmp_path / "errors.nc"), held_out)
    assert (found.model, found.against) == ("training errors", "nmc")
    training = describe(torch.from_numpy(errors[[0, 3, 6, 9, 12]]), grid)
    assert found.samples.values == pytest.approx(training.values, nan_ok=True)
    assert found.errors.values == pytest.approx(describe(torch.from_numpy(errors[15:]), grid).values, nan_ok=True)
