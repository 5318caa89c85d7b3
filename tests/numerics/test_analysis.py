"""The analysis equals its closed form where there is one, and its gradient is right where there is none."""

import math

import numpy as np
import pytest
import torch
from cases import GRID, blue, check_adjoint, check_taylor, cost_of, observations, quiet
from lora_envar.analysis.assimilate import Case, assimilate, compare, cost_function
from lora_envar.analysis.minimisation import MinimiserSettings, minimise
from lora_envar.analysis.variational import CostFunction
from lora_envar.background.spectral import GaussianBackgroundError, SpectralField, covariance_root, estimate_covariance
from lora_envar.background.vae import VAEBackgroundError
from lora_envar.fields.grid import Grid
from lora_envar.fields.harmonics import SphericalHarmonics
from lora_envar.observations.operator import ObservationOperator
from lora_envar.observations.quality import DepartureChecks
from lora_envar.observations.table import REASONS, Observations

WAVES = 5
#: of a cost function
PARTS = ("background_error", "background_weight", "background", "to_state_grid", "operator", "values", "errors")


def gaussian_model(dtype=torch.float64):
    """A Gaussian error model with random, full-rank covariances."""
    draws = torch.Generator().manual_seed(1)
    factor = torch.randn(WAVES + 1, 69, 80, dtype=torch.float64, generator=draws)
    covariance = factor @ factor.mT / 80 / (1 + torch.arange(WAVES + 1.0, dtype=torch.float64)).view(-1, 1, 1) ** 2
    deviation = torch.linspace(0.5, 3.0, 69, dtype=torch.float64)
    harmonics = SphericalHarmonics(GRID, WAVES, dtype)
    model = GaussianBackgroundError(
        SpectralField(covariance_root(covariance).to(dtype), harmonics), deviation.to(dtype)
    )
    return model, covariance


def test_linear_gaussian_3dvar_is_the_blue():
    model, _ = gaussian_model()
    table = observations()
    cost = cost_of(model, table, weight=2.0)
    minimum = minimise(cost, cost.zero(), MinimiserSettings(400, 50, 1e-10), quiet)
    expected = blue(cost)
    error = (cost.state(minimum.control) - expected).norm() / expected.norm()
    assert error < 1e-6


def test_covariance_is_recovered_from_its_own_samples():
    model, covariance = gaussian_model()
    draws = torch.Generator().manual_seed(4)
    field = model.field
    controls = torch.randn(400, field.control_size, dtype=torch.float64, generator=draws)
    samples = torch.stack([field(control) for control in controls])
    estimated = estimate_covariance(samples.split(50), field.harmonics)
    for wave in range(WAVES + 1):
        scale = covariance[wave].diagonal()
        difference = (estimated[wave] - covariance[wave]) / torch.sqrt(scale[:, None] * scale)
        # standard error of a covariance from n = 400 (2 l + 1) draws: sqrt(2 / n) at most; 5 of them over 69^2 entries
        assert difference.abs().max() < 5 * math.sqrt(2 / (400 * (2 * wave + 1)))


def test_root_is_symmetric_and_squares_to_the_covariance():
    _, covariance = gaussian_model()
    root = covariance_root(covariance)
    torch.testing.assert_close(root, root.mT)
    torch.testing.assert_close(root @ root, covariance, rtol=1e-9, atol=1e-12)


def vae_model(small_vae, dtype):
    vae = small_vae.to(dtype)
    vae.harmonics = SphericalHarmonics(GRID, 10, dtype)
    harmonics = SphericalHarmonics(GRID, WAVES, dtype)
    draws = torch.Generator().manual_seed(5)
    root = torch.randn(WAVES + 1, 69, 69, dtype=dtype, generator=draws) * 0.2
    return VAEBackgroundError(vae, SpectralField(root, harmonics), 1.0)


@pytest.mark.parametrize("kind", ["gaussian", "vae"])
def test_gradient_passes_the_taylor_test_over_five_decades(kind, small_vae):
    model = gaussian_model()[0] if kind == "gaussian" else vae_model(small_vae, torch.float64)
    cost = cost_of(model, observations())
    draws = torch.Generator().manual_seed(6)
    point, direction = torch.randn(2, model.control_size, dtype=torch.float64, generator=draws) * 0.3
    check_taylor(cost, point, direction)


def test_vae_increment_is_zero_for_zero_control(small_vae):
    model = vae_model(small_vae, torch.float64)
    assert model.increment(torch.zeros(model.control_size, dtype=torch.float64)).abs().max() == 0.0


def test_without_residual_it_is_the_published_form(small_vae):
    """x_b + S [D(z) - D(0)], z the control itself."""
    model = VAEBackgroundError(small_vae, None, 0.0)
    z = torch.randn(1, *small_vae.latent_shape, generator=torch.Generator().manual_seed(7))
    expected = small_vae.deviation * (small_vae.decode(z) - small_vae.decode(torch.zeros_like(z)))[0]
    torch.testing.assert_close(model.increment(z.flatten()), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", ["gaussian", "vae"])
def test_errors_to_infinity_and_to_zero_give_background_and_observations(kind, small_vae):
    model = gaussian_model(torch.float32)[0] if kind == "gaussian" else vae_model(small_vae, torch.float32)
    table = observations(columns=1)
    table = table.select(np.isin(table.variable, [2]))
    for error, distance in ((1e6, 1.0), (1e-3, 0.0)):
        cost = cost_of(model, table.with_columns(error=np.full(len(table), error, dtype="f4")), torch.float32)
        control = minimise(cost, cost.zero(), MinimiserSettings(60, 10, 1e-6), quiet).control
        left = (cost.values - cost.operator(cost.state(control))).norm() / cost.values.norm()
        assert left.item() == pytest.approx(distance, abs=2e-2)


def test_the_order_of_observations_does_not_matter():
    model, _ = gaussian_model()
    table = observations()
    shuffled = table.select(np.random.default_rng(1).permutation(len(table)))
    states = []
    for rows in (table, shuffled):
        cost = cost_of(model, rows)
        states.append(cost.state(minimise(cost, cost.zero(), MinimiserSettings(400, 50, 1e-11), quiet).control))
    torch.testing.assert_close(*states, rtol=0, atol=1e-5)


def test_single_observation_spreads_by_a_column_of_b():
    """The increment of one datum is B h d / (h' B h + r^2)."""
    model, _ = gaussian_model()
    table = observations(columns=1)
    table = table.select(np.arange(len(table)) == 11)
    cost = cost_of(model, table)
    increment = cost.state(minimise(cost, cost.zero(), MinimiserSettings(100, 10, 1e-12), quiet).control)
    w = cost.zero().requires_grad_(True)
    sensitivity = torch.autograd.grad(cost.operator(model.increment(w))[0], w)[0]
    column = model.increment(sensitivity)
    expected = column * cost.values / (sensitivity @ sensitivity + cost.errors**2)
    torch.testing.assert_close(increment, expected, rtol=1e-6, atol=1e-9)


def test_operator_interpolates_off_the_grid_and_has_its_adjoint():
    """A field linear in latitude and log pressure is met exactly between the points, also across 0 degrees."""
    from lora_envar.fields.state import CHANNELS

    log_pressure = np.log([channel.level or 1000 for channel in CHANNELS])
    field = torch.as_tensor(log_pressure[:, None, None] + 0.1 * GRID.latitude[:, None] + 0 * GRID.longitude)
    table = Observations.build(
        variable=[8, 8, 2, 6],
        pressure=[600.0, 775.0, np.nan, 60.0],
        latitude=[3.0, -41.7, 12.3, 60.0],
        longitude=[359.0, 123.4, 0.3, 200.0],
        value=np.zeros(4),
        error=np.ones(4),
        time=np.zeros(4),
    )
    operator = ObservationOperator(table, GRID, torch.float64)
    level = np.log(np.where(np.isnan(table.pressure), 1000, table.pressure).astype(float))
    np.testing.assert_allclose(operator(field), level + 0.1 * table.latitude, rtol=1e-6)
    draws = torch.Generator().manual_seed(8)
    x = torch.randn(field.shape, dtype=torch.float64, generator=draws)
    check_adjoint(operator, torch.zeros_like(x), x, torch.randn(4, dtype=torch.float64, generator=draws))


def test_withheld_observations_are_judged_and_not_used():
    table, (model, _) = observations(), gaussian_model(torch.float32)
    settings = MinimiserSettings(iterations=10, history=5, gradient_reduction=1e-3)
    background = np.zeros((69, *GRID.shape), dtype=np.float32)

    def analysis(table, checks=None):
        return assimilate(Case(background, GRID, GRID, table, settings, checks=checks, progress=quiet), model, 1.0)

    withheld = np.isin(table.station, np.unique(table.station)[::4])
    marked = table.with_columns(rejection=np.where(withheld, REASONS["withheld"], 0).astype("i1"))
    without = analysis(table.select(~withheld))
    held = analysis(marked)
    assert np.array_equal(held.state, without.state)
    changed = marked.with_columns(value=np.where(withheld, marked.value + 5, marked.value).astype("f4"))
    assert np.array_equal(analysis(changed).state, without.state)
    assert np.isfinite(held.observations.observation_minus_analysis).all()
    assert (held.observations.rejection == marked.rejection).all()
    # a gross error among the used ones is found by the background check, and leaves no trace in the analysis
    checks = DepartureChecks(np.ones(69), background_check=8.0, buddy_check=8.0, buddy_distance_km=100.0)
    spoilt = table.value.copy()
    spoilt[withheld] = 1e3
    checked = analysis(table.with_columns(value=spoilt), checks)
    assert (checked.observations.rejection[withheld] == REASONS["background_check"]).all()
    assert np.array_equal(checked.state, without.state)


def test_the_cost_at_the_points_that_are_read_is_that_of_the_whole_state():
    """States on a finer grid than their errors: the increment is regridded to what H reads alone."""
    model, _ = gaussian_model(torch.float32)
    grid = Grid("equiangular", 33, 64)
    background = torch.zeros(69, *grid.shape)
    case = Case(background.numpy(), grid, GRID, observations(), MinimiserSettings(5, 5, 1e-3), progress=quiet)
    cost = cost_function(compare(case), model, 2.0)
    control = torch.randn(cost.zero().shape, generator=torch.Generator().manual_seed(8)).requires_grad_(True)
    found = cost(control)
    parts = {name: getattr(cost, name) for name in PARTS}
    whole = CostFunction(**parts | {"to_state_grid": lambda field: cost.to_state_grid(field)})
    expected = whole(control)
    torch.testing.assert_close(cost.equivalents(control), whole.operator(whole.state(control)))
    torch.testing.assert_close(found, expected)
    gradients = [torch.autograd.grad(value, control)[0] for value in (found, expected)]
    # a sum over 69 x 33 x 64 values in single precision
    assert (gradients[0] - gradients[1]).norm() < 1e-5 * gradients[1].norm()
