"""Gates of a forecast model of two frames: it gets the two that it needs, never one of them twice."""

from datetime import UTC, datetime, timedelta

import numpy as np
import torch
from lora_envar.fields.grid import Grid
from lora_envar.forecast.model import ForecastModel
from lora_envar.verification.gates import forecast_errors, forecast_gates

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
