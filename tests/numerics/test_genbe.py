"""GEN_BE: winds and potentials, balance, and the laws of a linear error model."""

import numpy as np
import pytest
import torch
from cases import GRID, blue, cost_of, observations, quiet
from lora_envar.analysis.minimisation import MinimiserSettings, minimise
from lora_envar.background.genbe import MASS, SIZES, ControlVariables, GenBE, U, V, fit_genbe
from lora_envar.fields.constants import EARTH_RADIUS, EARTH_ROTATION
from lora_envar.fields.grid import Grid
from lora_envar.fields.harmonics import LinearBalance, SphericalHarmonics, VectorHarmonics
from lora_envar.fields.seeds import generator
from lora_envar.fields.state import LEVELS, channel_index

WAVES = 5
HARMONICS = SphericalHarmonics(GRID, WAVES, torch.float64)
LATITUDE = torch.as_tensor(np.radians(GRID.latitude))[:, None].expand(GRID.shape)


def samples(count=80, seed=1):
    """Errors whose geopotential is in linear balance with the winds, level by level, but for noise."""
    variables, white = ControlVariables(HARMONICS), generator(seed, "errors")
    spectrum = torch.where(HARMONICS.degree > 0, 1.0, 0.0) / (1.0 + HARMONICS.degree)
    draws = {
        name: spectrum * torch.randn(count, size, HARMONICS.size, dtype=torch.float64, generator=white)
        for name, size in SIZES.items()
    }
    profile = torch.linspace(1.0, 2.0, len(U), dtype=torch.float64)[:, None]
    psi, chi = 3e6 * profile * draws["psi"], 1e6 * draws["chi"]
    mass, humidity = 10.0 * draws["mass"], 1e-3 * draws["humidity"]
    mass[:, 2 : 2 + len(LEVELS)] += variables.balance(psi)[:, 1:]
    return variables.synthesise(psi, chi, mass, humidity)


@pytest.fixture(scope="module")
def model():
    return fit_genbe(samples().split(20), GRID, WAVES)


def test_solid_rotation_has_its_stream_function_and_linearly_balanced_geopotential():
    winds, balance = VectorHarmonics(HARMONICS), LinearBalance(HARMONICS)
    sine = LATITUDE.sin()
    psi, chi = winds.analyse(20.0 * LATITUDE.cos(), torch.zeros_like(sine))
    torch.testing.assert_close(HARMONICS.synthesise(psi), -20.0 * EARTH_RADIUS * sine, rtol=0, atol=1e3)
    assert chi.abs().max() < 1e-5 * psi.abs().max()
    # del^-2 div(f grad psi) of psi = -U a sin(latitude) is -Omega U a sin^2(latitude), less its mean
    expected = -EARTH_ROTATION * 20.0 * EARTH_RADIUS * (sine**2 - 1 / 3)
    torch.testing.assert_close(HARMONICS.synthesise(balance(psi)), expected, rtol=0, atol=1.0)


@pytest.mark.parametrize("grid", [GRID, Grid("equiangular", 33, 64)])
def test_winds_of_potentials_are_the_winds_potentials_came_from(grid):
    harmonics = SphericalHarmonics(grid, WAVES, torch.float64)
    winds = VectorHarmonics(harmonics)
    psi, chi = torch.randn(2, 3, harmonics.size, dtype=torch.float64, generator=generator(2)) * (harmonics.degree > 0)
    for found, given in zip(winds.analyse(*winds.synthesise(psi, chi)), (psi, chi), strict=True):
        torch.testing.assert_close(found, given, rtol=0, atol=1e-5)


def test_every_operator_has_its_adjoint(model):
    """<L x, y> = <x, L' y>, L' from autograd, and L is linear."""
    variables, draws = model.variables, generator(3)
    size = variables.harmonics.size
    cases = [
        (lambda x: torch.cat(variables.winds.synthesise(*x.view(2, 1, size))), (2 * size,)),
        (lambda x: torch.cat(variables.winds.analyse(*x)), (2, 1, *GRID.shape)),
        (variables.balance, (size,)),
        (model.increment, (model.control_size,)),
    ]
    for operator, shape in cases:
        x, other = torch.randn(2, *shape, dtype=torch.float64, generator=draws)
        x.requires_grad_(True)
        image = operator(x)
        y = torch.randn(image.shape, dtype=torch.float64, generator=draws) / image.detach().abs().mean()
        adjoint = torch.autograd.grad((image * y).sum(), x)[0]
        assert (operator(other) * y).sum().item() == pytest.approx((other * adjoint).sum().item(), rel=1e-10)
        difference = operator(2 * x - other) - 2 * image + operator(other)
        assert difference.abs().max() < 1e-12 * image.abs().max()


def test_fit_recovers_the_balance_of_the_model_its_samples_are_from(model):
    draws = torch.randn(150, model.control_size, dtype=torch.float64, generator=generator(4))
    again = fit_genbe([torch.stack([model.increment(draw) for draw in draws])], GRID, WAVES)
    heights = slice(2, 2 + len(LEVELS))
    # at the truncation of the increments, Phi_b lacks what winds beyond it would add
    found, given = (m.balance["mass"][1 : WAVES - 1, heights, 1:] for m in (again, model))
    assert (found - given).abs().max() < 0.2


def test_regression_finds_the_balance_of_the_samples(model):
    """Of z at a level on Phi_b at that level the regression is 1 in the samples' world, on all others 0."""
    heights = model.balance["mass"][1 : WAVES + 1, 2 : 2 + len(LEVELS), 1:]
    torch.testing.assert_close(
        heights, torch.eye(len(LEVELS), dtype=torch.float64).expand_as(heights), rtol=0, atol=0.1
    )


def test_deviations_are_those_of_the_samples(model):
    draws = torch.randn(200, model.control_size, dtype=torch.float64, generator=generator(5))
    drawn = torch.stack([model.increment(draw) for draw in draws])
    ratio = (GRID.mean(drawn**2).mean(0) / GRID.mean(samples() ** 2).mean(0)).sqrt()
    assert 0.85 < ratio.min() and ratio.max() < 1.15


def test_analysis_is_the_blue(model):
    table = observations(columns=6, fraction=0.5)
    cost = cost_of(model, table.with_columns(error=np.where(table.variable == 4, 50.0, 1.0).astype("f4")))
    # increments are in m2 s-2, K, m s-1: bring the observations to sizes that all matter
    minimum = minimise(cost, cost.zero(), MinimiserSettings(2000, 100, 1e-13), quiet)
    expected = blue(cost)
    error = (cost.state(minimum.control) - expected)[MASS].norm() / expected[MASS].norm()
    assert error < 1e-6


def test_a_wind_observation_turns_the_mass_field_the_other_way_on_the_other_hemisphere(model):
    """Westerlies at a point: low geopotential poleward of it, high equatorward, on both hemispheres."""
    for sign in (1, -1):
        row = int(np.argmin(np.abs(GRID.latitude - sign * 45.0)))
        w = torch.zeros(model.control_size, dtype=torch.float64, requires_grad=True)
        wind = model.increment(w)[channel_index("u500"), row, 4]
        column = model.increment(torch.autograd.grad(wind, w)[0])
        z = column[channel_index("z500"), :, 4]
        poleward, equatorward = (z[row - 2 * sign], z[row + 2 * sign])
        assert poleward < 0 < equatorward


def test_a_file_gives_the_model_back(model, tmp_path):
    model.save(tmp_path / "genbe.safetensors")
    loaded = GenBE.load(tmp_path / "genbe.safetensors", GRID)
    control = torch.randn(model.control_size, generator=generator(6))
    expected = model.increment(control.double())
    for channels in (U, V, MASS):
        assert (loaded.increment(control)[channels] - expected[channels]).norm() < 1e-5 * expected[channels].norm()
