"""The hybrid: its ensemble part is the Kalman analysis of the members, its localisation the Schur product."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from cases import GRID, blue, check_adjoint, check_taylor, cost_of, observations, quiet
from lora_envar.analysis.minimisation import MinimiserSettings, minimise
from lora_envar.background.genbe import fit_genbe
from lora_envar.background.hybrid import (
    Hybrid,
    LocalisedEnsemble,
    horizontal_localisation,
    hybrid,
    localised_hybrid,
    vertical_localisation,
)
from lora_envar.background.settings import HybridSettings, HybridVAESettings
from lora_envar.background.spectral import GaussianBackgroundError, SpectralField
from lora_envar.fields.grid import Grid
from lora_envar.fields.harmonics import SphericalHarmonics
from lora_envar.fields.seeds import generator
from lora_envar.fields.state import CHANNELS, LEVELS

WAVES, COUNT = 5, 6
HARMONICS = SphericalHarmonics(GRID, WAVES, torch.float64)
EXACT = MinimiserSettings(500, 60, 1e-12)
SETTINGS = HybridSettings(
    background_weight=1.0,
    alpha=0.64,
    ensemble_covariance="localised",
    horizontal_localisation=2000.0,
    vertical_localisation=1.0,
    ensemble_amplitude=1.0,
    minimum_members=4,
)


def members(count=COUNT, seed=1):
    spectrum = 1.0 / (1.0 + HARMONICS.degree)
    draws = torch.randn(count, 69, HARMONICS.size, dtype=torch.float64, generator=generator(seed, "members"))
    return HARMONICS.synthesise(spectrum * draws) + 3.0


def static():
    """A diagonal Gaussian: small, and linear."""
    root = (0.3 * torch.eye(69, dtype=torch.float64)).expand(WAVES + 1, 69, 69)
    return GaussianBackgroundError(SpectralField(root, HARMONICS), torch.ones(69, dtype=torch.float64))


def states_of(cost, settings=EXACT):
    return cost.state(minimise(cost, cost.zero(), settings, quiet).control)


def observed(field):
    """All states of a stack seen by the operator of `observations`, (stack, rows)."""
    operator = cost_of(static(), observations()).operator
    return torch.stack([operator(state) for state in field])


def test_without_localisation_the_analysis_is_the_ensemble_kalman_mean():
    cost = cost_of(LocalisedEnsemble(members(), GRID, None, None, None), observations())
    x = members() - members().mean(0)
    hx = observed(x)
    gain = torch.linalg.solve(hx.T @ hx / (COUNT - 1) + torch.diag(cost.errors**2), cost.values)
    expected = torch.einsum("kchw,k->chw", x, hx @ gain / (COUNT - 1))
    assert (states_of(cost) - expected).norm() < 1e-6 * expected.norm()


def test_an_independent_package_finds_the_same_analysis():
    """dapper's square-root EnKF: the mean of its analysis ensemble."""
    from dapper.da_methods.ensemble import EnKF_analysis
    from dapper.tools.randvars import GaussRV

    cost = cost_of(LocalisedEnsemble(members(), GRID, None, None, None), observations())
    background = members().mean(0)
    noise = GaussRV(C=cost.errors.numpy() ** 2, M=len(cost.errors))
    values = (cost.values + cost.operator(background)).numpy()
    ensemble = EnKF_analysis(members().flatten(1).numpy(), observed(members()).numpy(), noise, values, "Sqrt", None)
    if isinstance(ensemble, tuple):
        ensemble = ensemble[0]
    expected = ensemble.mean(0) - background.flatten().numpy()
    found = states_of(cost).flatten().numpy()
    assert np.linalg.norm(found - expected) < 1e-6 * np.linalg.norm(expected)


def test_localised_hybrid_is_the_blue_of_the_explicit_schur_product():
    """B = alpha Bs + (1 - alpha) L o Pe, every matrix written out."""
    ensemble = LocalisedEnsemble(members(), GRID, WAVES, 2000.0, 1.0, amplitude=1.5)
    ensemble._projection = None  # the Schur product knows no truncation
    model = Hybrid(static(), ensemble, 0.64)
    cost = cost_of(model, observations(columns=4))
    horizontal = HARMONICS.synthesise(torch.diag(horizontal_localisation(2000.0, HARMONICS.degree))).flatten(1)
    vertical = vertical_localisation(1.0)
    level = [LEVELS.index(channel.level or LEVELS[-1]) for channel in CHANNELS]
    operator = cost.operator
    x = 1.5 * (members() - members().mean(0)) / math.sqrt(COUNT - 1)
    across, up = horizontal.T @ horizontal, (vertical @ vertical.T)[level][:, level]

    def column(row):
        """Of L o Pe: the covariance of the whole state with one observed point."""
        w = torch.zeros(69, *GRID.shape, dtype=torch.float64, requires_grad=True)
        picked = torch.autograd.grad(operator(w)[row], w)[0].flatten().argmax().item()
        channel, point = divmod(picked, GRID.nlat * GRID.nlon)
        sampled = torch.einsum("kchw,k->chw", x, x.flatten(1)[:, picked])
        return sampled * up[:, channel][:, None, None] * across[:, point].view(GRID.shape)

    columns = torch.stack([column(row) for row in range(len(cost.values))])
    fixed = static()
    units = torch.stack([fixed.increment(unit) for unit in torch.eye(fixed.control_size, dtype=torch.float64)])
    hs = torch.stack([operator(unit) for unit in units])
    covariance = 0.64 * torch.einsum("ucxy,ur->rcxy", units, hs) + 0.36 * columns
    innovation = torch.stack([operator(column) for column in covariance]) + torch.diag(cost.errors**2)
    expected = torch.einsum("rcxy,r->cxy", covariance, torch.linalg.solve(innovation, cost.values))
    assert (states_of(cost) - expected).norm() < 1e-6 * expected.norm()


@pytest.mark.parametrize("alpha", [0.0, 0.64, 1.0])
def test_hybrid_is_the_blue_and_its_ends_are_its_parts(alpha):
    ensemble = LocalisedEnsemble(members(), GRID, WAVES, None, 1.0)
    cost = cost_of(Hybrid(static(), ensemble, alpha), observations(columns=4))
    found = states_of(cost)
    assert (found - blue(cost)).norm() < 1e-6 * found.norm()
    if alpha in (0.0, 1.0):
        alone = states_of(cost_of(static() if alpha else ensemble, observations(columns=4)))
        assert (found - alone).norm() < 1e-6 * found.norm()


def test_localisation_is_one_at_no_distance_and_falls_as_a_gaussian():
    grid = Grid("gaussian", 64, 128)
    harmonics = SphericalHarmonics(grid, 42, torch.float64)
    root = horizontal_localisation(1500.0, harmonics.degree)
    fields = harmonics.synthesise(torch.diag(root))
    torch.testing.assert_close((fields**2).sum(0), torch.ones(grid.shape, dtype=torch.float64), rtol=1e-9, atol=0)
    row, column = 31, 0
    correlation = torch.einsum("ihw,i->hw", fields, fields[:, row, column])
    latitude, longitude = (np.radians(axis) for axis in (grid.latitude, grid.longitude))
    cosine = np.sin(latitude)[:, None] * np.sin(latitude[row]) + np.cos(latitude)[:, None] * np.cos(
        latitude[row]
    ) * np.cos(longitude - longitude[column])
    distance = 6371.0 * np.arccos(cosine.clip(-1, 1))
    np.testing.assert_allclose(correlation, np.exp(-0.5 * (distance / 1500.0) ** 2), atol=0.02)
    vertical = vertical_localisation(1.0) @ vertical_localisation(1.0).T
    torch.testing.assert_close(vertical.diagonal(), torch.ones(len(LEVELS), dtype=torch.float64), rtol=0, atol=1e-5)
    assert vertical[0, -1] < 0.02


def test_adjoint_and_taylor_test():
    model = Hybrid(static(), LocalisedEnsemble(members(), GRID, WAVES, 2000.0, 1.0), 0.64)
    draws = generator(2)
    x, other, direction = torch.randn(3, model.control_size, dtype=torch.float64, generator=draws)
    y = torch.randn(69, *GRID.shape, dtype=torch.float64, generator=draws)
    check_adjoint(model.increment, x, other, y)
    check_taylor(cost_of(model, observations()), x, direction)


def test_too_few_members_give_the_static_model_and_enough_either_covariance():
    fixed = fit_genbe([members(20, seed=3)], GRID, WAVES)
    assert hybrid(fixed, None, SETTINGS, GRID) is fixed
    assert hybrid(fixed, members(3), SETTINGS, GRID) is fixed
    control = torch.randn(50 * fixed.control_size, dtype=torch.float64, generator=generator(5))
    increments = {}
    for covariance in ("localised", "genbe"):
        model = hybrid(fixed, members(4), replace(SETTINGS, ensemble_covariance=covariance), GRID)
        increments[covariance] = model.increment(control[: model.control_size])
        zero = model.increment(torch.zeros(model.control_size, dtype=torch.float64))
        assert zero.abs().max() == 0.0
    assert not torch.allclose(*increments.values())


def test_of_a_hybrid_of_any_static_model_the_covariances_add():
    settings = HybridVAESettings(
        background_weight=1.0,
        alpha=0.64,
        horizontal_localisation=2000.0,
        vertical_localisation=1.0,
        ensemble_amplitude=1.0,
        minimum_members=4,
        residual_amplitude=1.0,
    )
    fixed = static()
    assert localised_hybrid(fixed, members(3), settings, GRID, WAVES) is fixed
    model = localised_hybrid(fixed, members(), settings, GRID, WAVES)
    assert isinstance(model, Hybrid)
    draws = torch.randn(model.control_size, dtype=torch.float64, generator=generator(6))
    alone = {name: torch.zeros_like(draws) for name in model.parts()}
    for name, where in model.parts().items():
        alone[name][where] = draws[where]
    own = fixed.increment(draws[: fixed.control_size])
    torch.testing.assert_close(model.increment(alone["static"]), 0.8 * own)
    torch.testing.assert_close(model.increment(draws), sum(map(model.increment, alone.values())))


def test_a_hybrid_says_what_its_static_model_says_of_standard_normal_numbers():
    class Doubled(GaussianBackgroundError):
        def standard(self, control):
            return 2.0 * control

    plain = static()
    fixed = Doubled(plain.field, plain.deviation)
    model = Hybrid(fixed, LocalisedEnsemble(members(), GRID, WAVES, 2000.0, 1.0), 0.64)
    control = torch.randn(model.control_size, dtype=torch.float64, generator=generator(7))
    found = model.standard(control)
    assert torch.equal(found[: fixed.control_size], 2.0 * control[: fixed.control_size])
    assert torch.equal(found[fixed.control_size :], control[fixed.control_size :])
