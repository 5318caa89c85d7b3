"""What an analysis says of itself: degrees of freedom for signal, and the background's error at the data."""

import numpy as np
import pytest
import torch
from cases import GRID, blue, cost_of, observations, quiet
from lora_envar.analysis.diagnosis import SAMPLES, Diagnosis
from lora_envar.analysis.letkf import _signal
from lora_envar.analysis.minimisation import MinimiserSettings
from lora_envar.background.background_error import BackgroundError, amplified
from lora_envar.background.prior import LowRankNormal
from lora_envar.background.sampling import random_control

CONVERGED = MinimiserSettings(200, 50, 1e-10)


class Linear(BackgroundError):
    """A few random patterns, of several sizes."""

    control_size = 20

    def __init__(self):
        draws = torch.Generator().manual_seed(5)
        sizes = torch.logspace(-1, 0.5, 20, dtype=torch.float64).view(-1, 1, 1, 1)
        self.patterns = sizes * torch.randn(20, 69, *GRID.shape, generator=draws, dtype=torch.float64)

    def increment(self, control):
        return torch.tensordot(control, self.patterns, 1)


def gain(cost):
    """G = R^-1/2 H B^1/2 / sqrt(lambda), by unit control vectors."""
    model = cost.background_error
    units = torch.eye(model.control_size, dtype=torch.float64)
    observed = torch.stack([cost.operator(model.increment(unit)) for unit in units], dim=1)
    return observed / cost.errors[:, None] / cost.background_weight**0.5


@pytest.mark.parametrize("weight", [1.0, 4.0])
def test_degrees_of_freedom_for_signal_are_the_trace_of_the_influence_matrix(weight):
    cost = cost_of(Linear(), observations(), weight=weight)
    scaled = gain(cost)
    inner = scaled.T @ scaled
    exact = torch.trace(torch.linalg.solve(torch.eye(20) + inner, inner)).item()
    draws = torch.Generator().manual_seed(1)
    found = [Diagnosis(draws, True).degrees_of_freedom(cost, CONVERGED, quiet) for _ in range(40)]
    # one sample of a trace of eigenvalues below 1 has at most twice their sum for its variance
    assert np.mean(found) == pytest.approx(exact, abs=4 * np.sqrt(2 * exact / 40))
    assert exact > 5


@pytest.mark.parametrize("weight", [1.0, 4.0])
def test_the_background_s_error_at_the_data_is_the_model_s(weight):
    model = amplified(Linear(), {"static": 2.25}, torch.zeros(1, dtype=torch.float64))
    cost = cost_of(model, observations(), weight=weight)
    exact = (gain(cost).square().sum(1) * cost.errors**2).mean()
    draws = torch.Generator().manual_seed(1)
    found = torch.stack([Diagnosis(draws, False).background_deviation(cost, cost.operator) for _ in range(60)])
    assert found.shape == (60, len(cost.values))
    mean = found.square().mean()
    # the largest patterns make most of the variance: as if some five numbers were drawn each time
    assert mean.item() == pytest.approx(exact.item(), rel=4 * np.sqrt(2 / 5 / 60 / SAMPLES))


def test_control_vectors_with_an_adapter_s_numbers_are_drawn_with_their_own_scale():
    """w enters as w over a norm: it must be drawn so that L w has the covariance L L'."""
    prior = LowRankNormal(6, 2, torch.zeros(1))
    with torch.no_grad():
        prior.up.copy_(torch.tensor([[9.0, 0.0], [0, 3], [0, 0], [0, 0], [0, 0], [0, 0]]))

    class Model(BackgroundError):
        control_size = 8
        increment = staticmethod(prior.latents)
        standard = staticmethod(prior.standard)

    draws = torch.Generator().manual_seed(2)
    with torch.no_grad():
        drawn = torch.stack([prior.latents(random_control(Model(), draws, "cpu")) for _ in range(4000)])
    np.testing.assert_allclose(drawn.var(0).numpy()[:3], [82.0, 10.0, 1.0], rtol=0.12)


def test_the_filter_s_degrees_of_freedom_are_those_of_its_analyses():
    """A perfect ensemble transform, K - 1 directions: tr(R^-1 H P_a H') = tr(K H)."""
    cost = cost_of(Linear(), observations())
    scaled = gain(cost)
    inner = scaled.T @ scaled
    posterior = torch.linalg.inv(torch.eye(20, dtype=torch.float64) + inner)
    exact = torch.trace(posterior @ inner).item()
    values, vectors = torch.linalg.eigh(posterior)
    root = vectors * values.sqrt()
    # 40 members whose covariance is the posterior's, exactly
    controls = torch.cat([root.T, -root.T]) * (39 / 2) ** 0.5
    members = torch.stack([cost.background_error.increment(control) for control in controls])

    class Compared:
        operator = staticmethod(cost.operator)
        errors = cost.errors

    assert _signal(Compared, members) == pytest.approx(exact, rel=1e-6)


def test_the_analysis_is_not_touched_by_its_diagnosis():
    cost = cost_of(Linear(), observations())
    before = blue(cost)
    Diagnosis(torch.Generator().manual_seed(1), True).degrees_of_freedom(cost, CONVERGED, quiet)
    assert torch.equal(before, blue(cost))
