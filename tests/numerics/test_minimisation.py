"""The minimiser: exact on lines where the cost is quadratic, safe where it is not."""

import math

import pytest
import torch
from cases import quiet
from lora_envar.analysis.minimisation import Curvature, DivergenceError, MinimiserSettings, minimise

SIZE = 60


class Quadratic:
    """1/2 w' A w - b' w + c, with eigenvalues of A from 1 to 100; it counts its evaluations."""

    def __init__(self, seed=1, factor=1.0):
        draws = torch.Generator().manual_seed(7)
        turned, _ = torch.linalg.qr(torch.randn(SIZE, SIZE, dtype=torch.float64, generator=draws))
        self.matrix = factor * (turned * torch.linspace(1.0, 100.0, SIZE, dtype=torch.float64)) @ turned.T
        own = torch.Generator().manual_seed(seed)
        self.right = factor * torch.randn(SIZE, dtype=torch.float64, generator=own)
        self.rest = 30.0 * factor
        self.count = 0

    def __call__(self, control):
        self.count += 1
        return control @ (self.matrix @ control) / 2 - self.right @ control + self.rest

    def solution(self):
        return torch.linalg.solve(self.matrix, self.right)


def start():
    return torch.zeros(SIZE, dtype=torch.float64)


def conjugate_gradients(cost, iterations):
    """The method of Hestenes and Stiefel."""
    control = start()
    residual = cost.right.clone()
    direction = residual.clone()
    for _ in range(iterations):
        applied = cost.matrix @ direction
        square = residual @ residual
        share = square / (direction @ applied)
        control = control + share * direction
        residual = residual - share * applied
        direction = residual + (residual @ residual) / square * direction
    return control


@pytest.mark.parametrize("iterations", [1, 2, 5, 15])
@pytest.mark.parametrize("factor", [1e-3, 1.0, 1e5])
def test_of_a_quadratic_cost_it_is_conjugate_gradients(iterations, factor):
    """Whatever the scale of the cost, and with one evaluation an iteration beside that of the start."""
    cost = Quadratic(factor=factor)
    found = minimise(cost, start(), MinimiserSettings(iterations, 50, 0.0), quiet)
    torch.testing.assert_close(found.control, conjugate_gradients(cost, iterations), rtol=1e-5, atol=1e-8)
    assert found.evaluations == iterations + 1
    assert cost.count == iterations + 2, "the value at the end, without its gradient"
    assert found.cost_end == pytest.approx(cost(found.control).item(), rel=1e-12)
    assert found.gradient_end == pytest.approx((cost.matrix @ found.control - cost.right).norm().item(), rel=1e-9)


def test_it_ends_where_the_gradient_has_fallen_by_the_factor():
    found = minimise(Quadratic(), start(), MinimiserSettings(200, 50, 1e-3), quiet)
    assert found.gradient_end <= 1.001e-3 * found.gradient_start
    one_less = minimise(Quadratic(), start(), MinimiserSettings(found.evaluations - 3, 50, 0.0), quiet)
    assert one_less.gradient_end > 1e-3 * one_less.gradient_start


def test_what_one_minimisation_has_learned_helps_another_with_the_same_second_derivatives():
    settings = MinimiserSettings(200, 25, 1e-4)
    first = minimise(Quadratic(seed=1), start(), settings, quiet)
    other = Quadratic(seed=2)
    alone = minimise(other, start(), settings, quiet)
    helped = minimise(other, start(), settings, quiet, first.curvature)
    assert helped.evaluations < 0.8 * alone.evaluations
    for found in (alone, helped):
        torch.testing.assert_close(found.control, other.solution(), rtol=0, atol=1e-5)
    again = minimise(other, start(), settings, quiet, first.curvature)
    assert torch.equal(again.control, helped.control), "it stays as it is"


def rosenbrock(control):
    return (100 * (control[1:] - control[:-1] ** 2) ** 2 + (1 - control[:-1]) ** 2).sum()


def quartic(control):
    return (control**4).sum() / 4 - control.sum()


def saturating(control):
    return torch.log1p((control - 3.0).square()).sum()


@pytest.mark.parametrize("size", [2, 6])
@pytest.mark.parametrize("cost", [rosenbrock, quartic, saturating])
def test_a_cost_that_is_not_quadratic_is_minimised_as_well(cost, size):
    begin = torch.full((size,), -1.2, dtype=torch.float64)
    found = minimise(cost, begin, MinimiserSettings(500, 20, 1e-9), quiet)
    wanted = {rosenbrock: 1.0, quartic: 1.0, saturating: 3.0}[cost]
    torch.testing.assert_close(found.control, torch.full_like(begin, wanted), rtol=0, atol=1e-5)


@pytest.mark.parametrize("cost", [rosenbrock, saturating])
def test_no_result_lies_above_the_start(cost):
    draws = torch.Generator().manual_seed(3)
    for _ in range(20):
        begin = 3 * torch.randn(8, dtype=torch.float64, generator=draws)
        for iterations in (1, 3, 10):
            found = minimise(cost, begin, MinimiserSettings(iterations, 5, 0.0), quiet)
            assert found.cost_end == pytest.approx(cost(found.control).item(), rel=1e-12)
            assert found.cost_end <= found.cost_start


def test_a_step_back_to_where_the_gradient_was_is_the_secant_s():
    """B y = s for the last step s, over which the gradient changed by y (the secant condition)."""
    draws = torch.Generator().manual_seed(5)
    learned = Curvature(3)
    for _ in range(5):
        step = torch.randn(9, dtype=torch.float64, generator=draws)
        change = step * torch.linspace(1.0, 4.0, 9, dtype=torch.float64)
        learned.learn(step, change, (step @ change).item())
    torch.testing.assert_close(learned.descent(change), -step, rtol=1e-10, atol=1e-10)


def test_a_minimum_is_left_as_it_is():
    found = minimise(lambda w: w.square().sum(), torch.zeros(3), MinimiserSettings(), quiet)
    assert (found.evaluations, found.cost_end) == (1, 0.0)
    assert not found.control.any()


def test_a_diverging_minimisation_is_an_error():
    with pytest.raises(DivergenceError, match="evaluation 1"):
        minimise(lambda w: (w * math.nan).sum(), torch.ones(3), MinimiserSettings(), quiet)

    def falls_off(w):  # finite at the start, not beyond
        return torch.where(w.abs().sum() > 1e-3, math.inf * w.sum().abs(), w.sum())

    with pytest.raises(DivergenceError):
        minimise(falls_off, torch.zeros(3), MinimiserSettings(), quiet)
