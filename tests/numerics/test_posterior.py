"""Samples of what an analysis leaves uncertain: the covariance of the closed form, the analysis for their mean."""

import numpy as np
import pytest
import torch
from cases import GRID, cost_of, observations, quiet
from lora_envar.analysis.amplitudes import Amplitude
from lora_envar.analysis.assimilate import Case, assimilate
from lora_envar.analysis.calibration import Calibration
from lora_envar.analysis.minimisation import MinimiserSettings, minimise
from lora_envar.analysis.posterior import Posterior, draw_sample, sample_posterior
from lora_envar.analysis.variational import CostFunction
from lora_envar.background.background_error import BackgroundError, amplified
from lora_envar.background.genbe import fit_genbe
from lora_envar.background.prior import LowRankNormal
from lora_envar.fields.harmonics import SphericalHarmonics
from lora_envar.fields.seeds import generator

CONVERGED = MinimiserSettings(150, 40, 1e-7)
SHORT = MinimiserSettings(40, 40, 1e-5)
HARMONICS = SphericalHarmonics(GRID, 2, torch.float64)


class Patterns(BackgroundError):
    """A few random patterns of several sizes, of a state of any shape."""

    control_size = 20

    def __init__(self, shape=(30,), dtype=torch.float64):
        draws = torch.randn(20, *shape, generator=generator(5), dtype=torch.float64)
        self.patterns = (draws * torch.logspace(-1, 0.5, 20).view(-1, *[1] * len(shape))).to(dtype)

    def increment(self, control):
        return torch.tensordot(control, self.patterns, 1)


class Adapted(Patterns):
    """These with a low-rank prior of the day, whose numbers in the control vector are not standard normal."""

    control_size = 23

    def __init__(self):
        super().__init__()
        self.prior = LowRankNormal(20, 3, torch.zeros(1, dtype=torch.float64))
        with torch.no_grad():
            self.prior.up.copy_(3.0 * torch.randn(20, 3, generator=generator(6)))
        self.prior.requires_grad_(False)

    def increment(self, control):
        return super().increment(self.prior.latents(control))

    def standard(self, control):
        return self.prior.standard(control)


def small_cost(model, weight, data=25):
    """25 data, each of all 30 numbers of a state, with errors of several sizes."""
    operator = torch.randn(data, 30, generator=generator(7), dtype=torch.float64)
    values = torch.randn(data, generator=generator(8), dtype=torch.float64)
    errors = torch.logspace(0, 1, data, dtype=torch.float64)
    background = torch.ones(30, dtype=torch.float64)
    return CostFunction(model, weight, background, lambda field: field, lambda state: operator @ state, values, errors)


def genbe():
    """A GEN_BE of a few wavenumbers, fitted to random states."""
    draws = torch.randn(80, 69, HARMONICS.size, dtype=torch.float64, generator=generator(1, "states"))
    return fit_genbe([HARMONICS.synthesise(draws / (1.0 + HARMONICS.degree))], GRID, 2)


def unit_increments(cost):
    """Of every standard normal number of the control vector, (n, state)."""
    model = cost.background_error
    scale = model.standard(torch.ones(model.control_size, dtype=torch.float64))
    units = torch.eye(model.control_size, dtype=torch.float64) / scale
    return torch.stack([model.increment(unit) for unit in units])


def gain(cost):
    """G = R^-1/2 H dx' S^-1, (data, n)."""
    return torch.stack([cost.operator(field) for field in unit_increments(cost)], dim=1) / cost.errors[:, None]


def precision(cost):
    """lambda + G' G in the standard normal numbers of the control vector."""
    scaled = gain(cost)
    return cost.background_weight * torch.eye(scaled.shape[1], dtype=torch.float64) + scaled.T @ scaled


def whitened(cost, count, settings=CONVERGED):
    """Samples less the analysis, times the root of the precision: standard normal if the law holds, (count, n)."""
    minimum = minimise(cost, cost.zero(), CONVERGED, quiet).control
    root = torch.linalg.cholesky(precision(cost))
    found = [draw_sample(cost, minimum, generator(2, number), settings)[0] for number in range(count)]
    standard = cost.background_error.standard
    return torch.stack([(standard(control) - standard(minimum)) @ root for control in found])


@pytest.mark.parametrize("weight", [1.0, 4.0])
@pytest.mark.parametrize("model", [Patterns, Adapted])
def test_the_covariance_of_samples_is_that_of_the_analysis_error(model, weight):
    count = 50
    numbers = whitened(small_cost(model(), weight), count)
    # the directions that data determine, and those that they do not, lie at the two ends of a root's columns
    for part in (slice(None), slice(0, 7), slice(-7, None)):
        own = numbers[:, part]
        assert own.square().mean().item() == pytest.approx(1.0, abs=4.5 * (2 / own.numel()) ** 0.5)
    covariance = numbers.T @ numbers / count
    covariance.fill_diagonal_(0.0)
    assert covariance.abs().max() < 4.5 / count**0.5
    # and their mean, that of the analysis, by 1 / sqrt(count)
    assert numbers.mean(0).abs().max() < 4.5 / count**0.5


@pytest.mark.parametrize("model", [Patterns, Adapted])
def test_a_sample_is_the_closed_form_of_its_perturbations(model):
    """Exact, with the numbers that were drawn: first those of the background, then those of the data."""
    cost = small_cost(model(), 2.0)
    minimum = minimise(cost, cost.zero(), CONVERGED, quiet).control
    found, _ = draw_sample(cost, minimum, generator(3), CONVERGED)
    numbers = generator(3)
    background = torch.randn(cost.background_error.control_size, generator=numbers)
    noise = torch.randn(25, generator=numbers)
    right = 2.0**0.5 * background + gain(cost).T @ noise.double()
    standard = cost.background_error.standard
    difference = standard(found) - standard(minimum)
    torch.testing.assert_close(difference, torch.linalg.solve(precision(cost), right), rtol=0, atol=1e-3)


@pytest.mark.parametrize("weight", [1.0, 4.0])
def test_samples_of_a_genbe_have_the_variance_of_the_closed_form(weight):
    """So many numbers that few samples tell the variance of all of them, and of each control variable."""
    cost = cost_of(genbe(), observations(), weight=weight)
    numbers = whitened(cost, 6, MinimiserSettings(100, 50, 1e-5))
    for part in (slice(None), *cost.background_error.parts().values()):
        own = numbers[:, part]
        assert own.square().mean().item() == pytest.approx(1.0, abs=4.5 * (2 / own.numel()) ** 0.5)
    assert numbers.numel() > 1000


@pytest.mark.parametrize("model", [Patterns, Adapted])
def test_the_spread_of_the_state_is_the_closed_form_s(model):
    cost = small_cost(model(), 2.0)
    minimum = minimise(cost, cost.zero(), CONVERGED, quiet).control
    columns = unit_increments(cost)
    exact = (columns * torch.linalg.solve(precision(cost), columns)).sum(0)
    states = [cost.state(draw_sample(cost, minimum, generator(4, number), CONVERGED)[0]) for number in range(60)]
    found = Posterior(cost.state(minimum).numpy(), torch.stack(states).numpy(), 0, 0.0).spread()
    np.testing.assert_allclose(found**2, exact, rtol=4.5 * (2 / 60) ** 0.5)
    assert (found**2 / exact.numpy()).mean() == pytest.approx(1.0, abs=4.5 * (2 / 5 / 60) ** 0.5)  # some five patterns
    prior = columns.square().sum(0) / cost.background_weight
    assert (exact < 0.8 * prior).any(), "the data tell nothing"


def case(columns=12, table=None, settings=SHORT):
    table = observations(columns) if table is None else table
    return Case(np.zeros((69, *GRID.shape), dtype=np.float32), GRID, GRID, table, settings, progress=quiet)


def random_patterns():
    return Patterns((69, *GRID.shape), torch.float32)


def draws(count, seed=3):
    return [generator(seed, number) for number in range(count)]


def posterior(count=6, model=None, weight=1.0, **options):
    return sample_posterior(case(**options), model or random_patterns(), weight, None, draws(count))


@pytest.mark.parametrize("weight", [1.0, 4.0])
def test_without_data_the_spread_is_the_background_s(weight):
    model = random_patterns()
    table = observations()
    none = table.select(np.zeros(len(table), dtype=bool))
    found = posterior(40, model, weight, table=none)
    assert not found.analysis.any()
    assert found.evaluations == 0
    assert "gradient_reduction" not in found.attributes()
    variance = (found.spread().astype(float) ** 2).sum()
    expected = model.patterns.double().square().sum().item() / weight
    assert variance == pytest.approx(expected, rel=4 * (2 / 3 / 40) ** 0.5)


def test_the_more_data_the_smaller_the_spread():
    table = observations()
    none = table.select(np.zeros(len(table), dtype=bool))
    tables = [none, observations(1), observations(4), observations(40)]
    spreads = [(posterior(12, table=each).spread().astype(float) ** 2).mean() for each in tables]
    assert spreads == sorted(spreads, reverse=True)
    assert spreads[-1] < 0.3 * spreads[0]


def test_the_analysis_is_that_of_the_method():
    model = random_patterns()
    found = posterior(2, model)
    np.testing.assert_array_equal(found.analysis, assimilate(case(), model, 1.0).state)


def test_the_same_seed_gives_the_same_bytes_whatever_the_number_of_samples():
    once = posterior(4)
    again = posterior(3)
    assert once.samples[:3].tobytes() == again.samples.tobytes()
    assert np.abs(once.samples[0] - once.samples[1]).max() > 0
    other = sample_posterior(case(), random_patterns(), 1.0, None, draws(3, seed=4))
    assert np.abs(other.samples - again.samples).max() > 0


def test_amplitudes_of_past_cycles_are_in_the_samples():
    """Of the background error, and of the errors of observations, whose noise grows with them."""
    table = observations()
    kind = f"reports {table.report_type[0]}"
    amplitudes = {"static": Amplitude(variance=2.25), kind: Amplitude(variance=4.0)}
    calibration = Calibration(amplitudes, True, generator(1))
    found = sample_posterior(case(), random_patterns(), 1.0, calibration, draws(3))
    model = amplified(random_patterns(), {"static": 2.25}, torch.zeros(1))
    doubled = case(table=table.with_columns(error=2.0 * table.error))
    expected = sample_posterior(doubled, model, 1.0, None, draws(3))
    np.testing.assert_allclose(found.samples, expected.samples, rtol=0, atol=1e-4)


def test_a_few_iterations_leave_too_much_spread_and_never_too_little():
    """The start has the background's spread, and the data take from it."""
    spreads = {}
    cost = cost_of(genbe(), observations(4))
    minimum = minimise(cost, cost.zero(), CONVERGED, quiet).control
    for iterations in (1, 3, 300):
        settings = MinimiserSettings(iterations, 50, 1e-6)
        found = [draw_sample(cost, minimum, generator(2, number), settings)[0] - minimum for number in range(4)]
        spreads[iterations] = torch.stack(found).square().sum().item()
    assert spreads[1] > spreads[3] > spreads[300]


def test_the_spread_is_about_the_analysis_and_not_about_the_samples_mean():
    analysis = np.zeros((69, *GRID.shape), dtype=np.float32)
    samples = np.stack([analysis + 3.0, analysis + 4.0])
    spread = Posterior(analysis, samples, 0, 0.5).spread()
    np.testing.assert_allclose(spread, 12.5**0.5, rtol=1e-6)
