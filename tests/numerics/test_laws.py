"""Laws that every background error model obeys, each method's in turn."""

import math

import numpy as np
import pytest
import torch
from cases import GRID, check_adjoint, check_taylor, cost_of, observations, quiet
from conftest import small_network
from lora_envar.analysis.assimilate import Case, assimilate
from lora_envar.analysis.minimisation import MinimiserSettings, minimise
from lora_envar.background.error_variables import ErrorVariables
from lora_envar.background.genbe import fit_genbe
from lora_envar.background.hybrid import Hybrid, LocalisedEnsemble
from lora_envar.background.prior import LowRankNormal
from lora_envar.background.spectral import GaussianBackgroundError, SpectralField
from lora_envar.background.vae import FORMS, VAEBackgroundError
from lora_envar.fields.harmonics import SphericalHarmonics
from lora_envar.fields.seeds import generator

WAVES = 5
HARMONICS = SphericalHarmonics(GRID, WAVES, torch.float64)
LINEAR = ("gaussian", "genbe", "localised", "hybrid", "hybrid_genbe")
LEARNED = tuple(f"{form}{adapted}" for form in sorted(FORMS) for adapted in ("", "_adapted"))


def states(count, seed):
    draws = torch.randn(count, 69, HARMONICS.size, dtype=torch.float64, generator=generator(seed, "states"))
    return HARMONICS.synthesise(draws / (1.0 + HARMONICS.degree))


def root(size):
    return size * torch.eye(69, dtype=torch.float64).expand(WAVES + 1, 69, 69)


def learned(name):
    """A VAE with random, visibly nonlinear weights; adapted: with a prior of the day."""
    form, _, adapted = name.partition("_")
    torch.manual_seed(3)
    vae = FORMS[form](ErrorVariables(GRID, WAVES), small_network(), sigma=0.5)
    with torch.no_grad():
        for parameter in vae.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator(parameter.numel())))
    vae = vae.double().eval().requires_grad_(False)
    vae.harmonics = HARMONICS
    vae.variables.scale.copy_(torch.linspace(0.5, 2.0, 69).view(-1, 1, 1))
    if adapted:
        size = math.prod(vae.latent_shape)
        prior = vae.prior = LowRankNormal(size, 2, vae.deviation)
        with torch.no_grad():
            prior.up.copy_(0.2 * torch.randn(size, 2, generator=generator(5)))
        prior.requires_grad_(False)
    return VAEBackgroundError(vae, SpectralField(root(0.2), HARMONICS), 1.0)


@pytest.fixture(scope="module")
def models():
    gaussian = GaussianBackgroundError(SpectralField(root(0.3), HARMONICS), torch.linspace(0.5, 2.0, 69).double())
    genbe = fit_genbe([states(60, 1)], GRID, WAVES)
    localised = LocalisedEnsemble(states(6, 2), GRID, WAVES, 2000.0, 1.0)
    found = {"gaussian": gaussian, "genbe": genbe, "localised": localised, "hybrid": Hybrid(genbe, localised, 0.64)}
    found["hybrid_genbe"] = Hybrid(genbe, fit_genbe([states(8, 6)], GRID, WAVES, genbe.balance), 0.64)
    return found | {name: learned(name) for name in LEARNED}


def drawn(*shape, seed=7):
    return torch.randn(*shape, dtype=torch.float64, generator=generator(seed))


def transpose(model, field, at=None):
    """The adjoint of the increment's derivative at a control vector (zero), applied to a field."""
    control = torch.zeros(model.control_size, dtype=torch.float64) if at is None else at
    control.requires_grad_(True)
    return torch.autograd.grad((model.increment(control) * field).sum(), control)[0]


@pytest.mark.parametrize("name", LINEAR)
def test_the_transform_is_linear_and_has_its_adjoint(models, name):
    model = models[name]
    first, second = drawn(2, model.control_size)
    both = model.increment(2.0 * first - 3.0 * second)
    parts = 2.0 * model.increment(first) - 3.0 * model.increment(second)
    torch.testing.assert_close(both, parts, rtol=0, atol=1e-10 * both.abs().max().item())
    check_adjoint(model.increment, torch.zeros_like(first), first, drawn(69, *GRID.shape))


@pytest.mark.parametrize("name", LINEAR)
def test_b_is_symmetric_and_not_negative(models, name):
    model = models[name]
    fields = drawn(6, 69, *GRID.shape)
    images = torch.stack([model.increment(transpose(model, field)) for field in fields])
    matrix = torch.einsum("iclm,jclm->ij", fields, images)
    assert (matrix - matrix.T).abs().max() < 1e-10 * matrix.abs().max()
    assert torch.linalg.eigvalsh((matrix + matrix.T) / 2).min() > 0


@pytest.mark.parametrize("name", (*LINEAR, *LEARNED))
def test_zero_is_the_background_and_no_observations_give_it_back(models, name):
    model = models[name]
    zero = torch.zeros(model.control_size, dtype=torch.float64)
    assert model.increment(zero).abs().max() == 0.0
    assert model.penalty(zero) == 0.0
    background = drawn(69, *GRID.shape).numpy()
    table = observations()
    none = table.select(np.zeros(len(table), dtype=bool))
    result = assimilate(Case(background, GRID, GRID, none, MinimiserSettings(), progress=quiet), model, 1.0)
    assert np.array_equal(result.state, background)


@pytest.mark.parametrize("name", (*LINEAR, *LEARNED))
def test_every_cost_function_passes_the_taylor_test(models, name):
    model = models[name]
    cost = cost_of(model, observations(), weight=2.0)
    point, direction = 0.3 * drawn(2, model.control_size)
    # the first steps of a nonlinear model are too long for its second order to rule
    check_taylor(cost, point, direction, range(2, 7))


@pytest.mark.parametrize("name", LINEAR)
def test_the_parts_of_an_increment_add_up(models, name):
    """Every number of the control vector is of one part."""
    model = models[name]
    control = drawn(model.control_size)
    total = torch.zeros(69, *GRID.shape, dtype=torch.float64)
    count = torch.zeros(model.control_size)
    for where in model.parts().values():
        alone = torch.zeros_like(control)
        alone[where] = control[where]
        total += model.increment(alone)
        count[where] += 1
    assert (count == 1).all()
    torch.testing.assert_close(total, model.increment(control))


@pytest.mark.parametrize("name", (*LINEAR, *LEARNED))
def test_a_small_departure_spreads_by_a_column_of_b(models, name):
    """One datum: B h d / (h' B h + r^2), of a VAE with the B of its derivative at zero, J C J', C of the control."""
    model = models[name]
    table = observations(columns=1)
    table = table.select(np.arange(len(table)) == 11).with_columns(value=np.full(1, 1e-4, "f4"))
    cost = cost_of(model, table)
    control = minimise(cost, cost.zero(), MinimiserSettings(200, 20, 1e-12), quiet).control
    increment = cost.state(control)

    unit = torch.zeros(69, *GRID.shape, dtype=torch.float64, requires_grad=True)
    sensitivity = torch.autograd.grad(cost.operator(unit)[0], unit)[0]
    pulled = transpose(model, sensitivity)
    if name.endswith("_adapted"):  # the adapter's numbers are standard normal ones times its norms
        prior = model.vae.prior
        own = model.parts()["ensemble"]
        pulled[own] = pulled[own] * (1 + prior.up.square().sum(0))
    scale = 1e-6  # the derivative along the column, by a difference
    column = (model.increment(scale * pulled) - model.increment(-scale * pulled)) / (2 * scale)
    variance = (sensitivity * column).sum()
    expected = column * cost.values / (variance + cost.errors**2)
    assert (increment - expected).norm() < (1e-6 if name in LINEAR else 1e-2) * expected.norm()
