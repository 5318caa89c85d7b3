"""The LETKF: the Kalman analysis of the sample covariance, tapered; its spread, and what enters from where."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from cases import GRID, atmosphere, observations, quiet
from lora_envar.analysis.assimilate import Case, assimilate
from lora_envar.analysis.letkf import filter_ensemble, relaxed, transformed
from lora_envar.analysis.local_products import LocalProducts, gaspari_cohn
from lora_envar.analysis.minimisation import MinimiserSettings
from lora_envar.background.settings import LETKFSettings
from lora_envar.fields.grid import Grid
from lora_envar.fields.harmonics import SphericalHarmonics
from lora_envar.fields.regridding import regridder
from lora_envar.fields.seeds import generator
from lora_envar.fields.state import CHANNELS, LEVEL_OF_CHANNEL, LEVELS, channel_index
from lora_envar.observations.catalogue import CODES
from lora_envar.observations.operator import ObservationOperator
from lora_envar.observations.table import REASONS, Observations

COUNT = 6
HARMONICS = SphericalHarmonics(GRID, 10, torch.float64)
SETTINGS = LETKFSettings(
    horizontal_localisation=1500.0, vertical_localisation=1.0, relaxation=0.0, additive_error=0.0, inflation=1.0
)


def members(count=COUNT, seed=1):
    spectrum = 1.0 / (1.0 + HARMONICS.degree)
    draws = torch.randn(count, 69, HARMONICS.size, dtype=torch.float64, generator=generator(seed, "members"))
    return HARMONICS.synthesise(spectrum * draws) + 3.0


class Cases:
    """Members, observations of them, and what a filter makes of these, in float64."""

    def __init__(self, horizontal, vertical, table=None, grid=GRID, error_grid=GRID):
        self.table = observations() if table is None else table
        self.members = regridder(GRID, grid, torch.float64)(members())
        self.mean = self.members.mean(0)
        self.perturbations = self.members - self.mean
        operator = ObservationOperator(self.table, grid, torch.float64)
        self.equivalents = torch.stack([operator(member) for member in self.members])
        self.values = torch.as_tensor(self.table.value, dtype=torch.float64)
        self.errors = torch.as_tensor(self.table.error, dtype=torch.float64)
        self.products = LocalProducts(
            self.table, self.equivalents, self.values, self.errors, error_grid, horizontal, vertical
        )
        self.increment, self.analysed = transformed(self.perturbations, self.products, error_grid, grid, 1.0)


def distances(table):
    """Of every point of the grid from every row, in km, by the haversine formula, (points, rows)."""
    latitude, longitude = (
        np.radians(axis.ravel()) for axis in np.meshgrid(GRID.latitude, GRID.longitude, indexing="ij")
    )
    phi, lam = np.radians(table.latitude.astype(float)), np.radians(table.longitude.astype(float))
    half = np.sin((latitude[:, None] - phi) / 2) ** 2
    half += np.cos(latitude[:, None]) * np.cos(phi) * np.sin((longitude[:, None] - lam) / 2) ** 2
    return 2 * 6371.0 * np.arcsin(np.sqrt(half))


def heights(table):
    """Differences in ln p of every level from every row, (levels, rows)."""
    pressure = np.where(np.isnan(table.pressure), LEVELS[-1], table.pressure)
    return np.abs(np.log(np.array(LEVELS)[:, None] / pressure))


def test_without_localisation_mean_and_covariance_are_the_kalman_filter_s():
    """x_b + K d and (I - K H) P with the sample covariance P, of some channels and points."""
    case = Cases(None, None)
    y = case.equivalents - case.equivalents.mean(0)
    picked = torch.randperm(case.mean.numel(), generator=generator(4))[:300]
    x = case.perturbations.flatten(1)[:, picked]
    innovation = y.T @ y / (COUNT - 1) + torch.diag(case.errors**2)
    gain = torch.linalg.solve(innovation, y.T @ x / (COUNT - 1)).T
    expected = gain @ (case.values - case.equivalents.mean(0))
    assert (case.increment.flatten()[picked] - expected).norm() < 1e-10 * expected.norm()
    covariance = x.T @ x / (COUNT - 1) - gain @ (y.T @ x) / (COUNT - 1)
    analysed = case.analysed.flatten(1)[:, picked]
    assert (analysed.T @ analysed / (COUNT - 1) - covariance).norm() < 1e-10 * covariance.norm()
    assert case.analysed.mean(0).abs().max() < 1e-12


@pytest.mark.parametrize(("horizontal", "vertical"), [(2500.0, None), (2500.0, 0.5), (None, 0.5)])
def test_an_independent_package_makes_the_same_members(horizontal, vertical):
    """dapper's local analyses of single points and levels, with distances and tapers worked out apart."""
    from dapper.da_methods.ensemble import local_analyses
    from dapper.tools.localization import dist2coeff
    from dapper.tools.randvars import GaussRV

    case = Cases(horizontal, vertical)
    # dapper's c is 1.82 of its radius
    unit = math.sqrt(10 / 3) / 1.82
    across = np.ones((GRID.nlat * GRID.nlon, len(case.table)))
    up = np.ones((len(LEVELS), len(case.table)))
    if horizontal:
        across = dist2coeff(distances(case.table), unit * horizontal, "GC")
    if vertical:
        up = dist2coeff(heights(case.table), unit * vertical, "GC")
    indices = np.arange(case.mean.numel()).reshape(69, -1)
    levels = np.array(LEVEL_OF_CHANNEL)
    wanted = [(level, point) for level in (0, 7, 12) for point in range(0, GRID.nlat * GRID.nlon, 37)]
    batches = [indices[levels == level, point] for level, point in wanted]
    tapers = {tuple(batch): across[point] * up[level] for batch, (level, point) in zip(batches, wanted, strict=True)}

    def taper(batch):
        own = tapers[tuple(batch)]
        return np.flatnonzero(own > 0), own[own > 0]

    noise = GaussRV(C=case.errors.numpy() ** 2, M=len(case.errors))
    ensemble = case.members.flatten(1).numpy().copy()
    ensemble, _ = local_analyses(
        ensemble,
        case.equivalents.numpy(),
        noise.C,
        case.values.numpy(),
        batches,
        taper,
        mp=lambda f, x: list(map(f, x)),
    )
    found = (case.mean + case.increment + case.analysed).flatten(1).numpy()
    changed = np.concatenate(batches)
    scale = np.abs(ensemble[:, changed] - case.members.flatten(1).numpy()[:, changed]).max()
    # dapper's eigenvalues come from another decomposition, of rounding 1e-15 and a condition of up to 1e4
    assert np.abs(found[:, changed] - ensemble[:, changed]).max() < 1e-9 * scale


def test_the_taper_is_gaspari_and_cohn_s():
    """1 - 5/3 + 5/8 + 1/2 - 1/4 = 5/24 at c; 1 - d^2 / 2 L^2 near 0; zero from 2 c on, and smooth at both ends."""
    c = math.sqrt(10 / 3)
    at = torch.tensor([0.0, c, 2 * c, 5.0], dtype=torch.float64)
    torch.testing.assert_close(gaspari_cohn(at, 1.0), torch.tensor([1.0, 5 / 24, 0, 0], dtype=torch.float64))
    near = torch.tensor([1e-3], dtype=torch.float64)
    assert ((1 - gaspari_cohn(near, 1.0)) / (near**2 / 2)).item() == pytest.approx(1.0, abs=1e-3)
    assert gaspari_cohn(1500 * at, 1500.0).tolist() == pytest.approx(gaspari_cohn(at, 1.0).tolist(), abs=1e-12)
    steps = torch.linspace(0, 4.0, 4001, dtype=torch.float64)
    slopes = gaspari_cohn(steps, 1.0).diff().diff().abs()
    assert slopes.max() < 1.1e-6 and (gaspari_cohn(steps, 1.0).diff() <= 0).all()


def test_a_point_depends_on_the_observations_within_the_support_alone():
    table = observations(columns=20)
    column = (table.latitude == table.latitude[0]) & (table.longitude == table.longitude[0])
    level = CODES["t"], 500.0
    moved = column & (table.variable == level[0]) & (table.pressure == level[1])
    assert moved.sum() == 1
    other = table.with_columns(value=np.where(moved, table.value + 5.0, table.value).astype("f4"))
    before, after = Cases(1000.0, 0.3, table), Cases(1000.0, 0.3, other)
    changed = ((before.increment - after.increment).abs() > 1e-12).flatten(1).numpy()
    support = 2 * math.sqrt(10 / 3)
    near = distances(table.select(moved))[:, 0] < 1000.0 * support
    high = heights(table.select(moved))[list(LEVEL_OF_CHANNEL), 0] < 0.3 * support
    assert not changed[:, ~near].any() and not changed[~high].any()
    # a taper of less than 1e-6 at the edge of the support changes less than is looked for
    assert changed[np.ix_(high, near)].mean() > 0.8
    assert torch.equal(before.analysed, after.analysed), "the spread does not depend on the values"


def test_places_with_different_numbers_of_data_are_summed_as_they_are():
    """Against the sum over single rows."""
    table = observations(columns=300)
    some = table.select(np.random.default_rng(5).random(len(table)) < 0.05)
    case = Cases(2000.0, 0.7, some)
    scaled = torch.cat([case.equivalents, case.values[None]]) - case.equivalents.mean(0)
    scaled = scaled / case.errors
    taper = gaspari_cohn(torch.from_numpy(distances(some)), 2000.0)
    taper = taper * gaspari_cohn(torch.from_numpy(heights(some)), 0.7)[4]
    expected = torch.einsum("pr,ir,jr->pij", taper, scaled[:-1], scaled)
    found = case.products.of_points(case.products.of_places(4), slice(None))
    # latitudes are float32 in the table, and 1e-7 of a radian moves the taper by as much
    assert (found - expected).abs().max() < 1e-6 * expected.abs().max()


def test_weights_of_a_coarser_grid_are_interpolated():
    """Without localisation they are the same everywhere, so that the grid of weights does not matter."""
    coarse = Grid("gaussian", 8, 16)
    fine, same = Cases(None, None, error_grid=coarse), Cases(None, None)
    torch.testing.assert_close(fine.increment, same.increment, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(fine.analysed, same.analysed, rtol=1e-10, atol=1e-12)
    near, full = Cases(5000.0, None, error_grid=coarse), Cases(5000.0, None)
    assert (near.increment - full.increment).norm() < 0.2 * full.increment.norm()


@pytest.mark.parametrize("relaxation", [0.0, 0.4, 1.0])
def test_relaxation_is_between_the_filter_s_spread_and_the_backgrounds(relaxation):
    case = Cases(1500.0, 1.0)
    found = relaxed(case.analysed, case.perturbations, relaxation)
    wanted = relaxation * case.perturbations.std(0) + (1 - relaxation) * case.analysed.std(0)
    torch.testing.assert_close(found.std(0), wanted, rtol=1e-10, atol=0)
    if relaxation == 0.0:
        assert torch.equal(found, case.analysed)
    assert case.analysed.std(0).mean() < 0.9 * case.perturbations.std(0).mean()


def case_of(table, ensemble, **changes):
    given = {"background": ensemble.mean(0).numpy(), "grid": GRID, "error_grid": GRID, "observations": table}
    return Case(**given, minimiser=MinimiserSettings(), progress=quiet, **changes)


def rows(kind, count=40, **columns):
    draws = np.random.default_rng(7)
    given = {"value": np.full(count, 0.02), "error": np.full(count, 1e-3), "variable": np.full(count, CODES[kind])}
    given |= {"latitude": draws.uniform(-80, 80, count), "longitude": draws.uniform(0, 360, count)}
    given |= {"pressure": np.full(count, 500.0), "time": np.zeros(count), "station": np.full(count, b"A")}
    return Observations.build(**{**given, **columns})


def test_without_observations_the_analyses_are_the_backgrounds():
    ensemble = members().float()
    table = observations().select(np.zeros(0, dtype=int))
    result = filter_ensemble(case_of(table, ensemble), ensemble, replace(SETTINGS, inflation=1.1))
    assert np.array_equal(result.ensemble.members, ensemble.numpy())
    assert np.array_equal(result.state, ensemble.mean(0).numpy())
    said = result.attributes()
    assert (said["used"], said["evaluations"]) == (0, 0) and math.isnan(said["consistency"])


def test_beyond_all_observations_members_are_inflated_and_not_changed_otherwise():
    case = Cases(500.0, None, observations(columns=1))
    products = case.products
    _, analysed = transformed(case.perturbations, products, GRID, GRID, 1.5)
    far = torch.from_numpy((distances(case.table) > 500.0 * 2 * math.sqrt(10 / 3)).all(1))
    torch.testing.assert_close(analysed.flatten(2)[..., far], 1.5 * case.perturbations.flatten(2)[..., far])


def test_departures_checks_and_withheld_data_are_those_of_all_methods():
    """The table is the one of an analysis without a filter, but for O - A; what is withheld is not used."""
    ensemble = members().float()
    table = observations()
    rejection = np.where(np.arange(len(table)) % 3 == 0, REASONS["withheld"], REASONS["used"]).astype("i1")
    withheld = table.with_columns(rejection=rejection)
    result = filter_ensemble(case_of(withheld, ensemble), ensemble, SETTINGS)
    plain = assimilate(case_of(withheld, ensemble), None, 1.0)
    for column in ("rejection", "observation_minus_background"):
        np.testing.assert_array_equal(
            getattr(result.observations, column), getattr(plain.observations, column), err_msg=column
        )
    without = filter_ensemble(case_of(table.select(rejection == 0), ensemble), ensemble, SETTINGS)
    assert np.array_equal(without.state, result.state)
    departures = [result.observations.observation_minus_analysis, result.observations.observation_minus_background]
    used = [np.square(departure[rejection == 0] / table.error[rejection == 0]).mean() for departure in departures]
    assert used[0] < used[1]
    assert result.attributes()["used"] == (rejection == 0).sum()


def test_the_mean_of_the_members_is_the_analysis_and_both_are_band_limited():
    ensemble = members().float()
    result = filter_ensemble(case_of(observations(), ensemble), ensemble, replace(SETTINGS, relaxation=0.5), 10)
    states = torch.from_numpy(np.concatenate([result.state[None], result.ensemble.members]))
    rounding = 100 * torch.finfo(torch.float32).eps * states.abs().max()
    assert (states[0] - states[1:].mean(0)).abs().max() < rounding
    assert (SphericalHarmonics(GRID, 10).project(states) - states).abs().max() < rounding
    again = filter_ensemble(case_of(observations(), ensemble), ensemble, replace(SETTINGS, relaxation=0.5), 10)
    assert again.ensemble.members.tobytes() == result.ensemble.members.tobytes()


def test_a_nonlinear_operator_is_applied_to_every_member():
    """Refractivity: departures are from the mean of H, and the weights are those of these equivalents."""
    states = torch.stack([atmosphere(seed) for seed in range(1, COUNT + 1)]).float()
    table = rows("refractivity", value=np.full(40, 150.0), error=np.full(40, 1.0))
    result = filter_ensemble(case_of(table, states), states, replace(SETTINGS, vertical_localisation=None))
    operator = ObservationOperator(table, GRID)
    equivalents = torch.stack([operator(member) for member in states])
    mean = states.mean(0)
    products = LocalProducts(
        table, equivalents, torch.as_tensor(table.value), torch.as_tensor(table.error), GRID, 1500.0, None
    )
    increment, _ = transformed(states - mean, products, GRID, GRID, 1.0)
    assert np.array_equal(result.state, (mean + increment).numpy())
    assert increment[channel_index("t500")].abs().max() > 0.1
    assert len(CHANNELS) == len(increment)


def test_consistency_is_one_where_spread_and_errors_are_as_they_say():
    """Truth and members of one distribution, errors of the size that they have."""
    states = members(41).float()
    table = observations(columns=60)
    operator = ObservationOperator(table, GRID)
    error = np.full(len(table), 0.3, dtype="f4")
    noise = error * np.random.default_rng(8).standard_normal(len(table)).astype("f4")
    table = table.with_columns(value=operator(states[0]).numpy() + noise, error=error)
    result = filter_ensemble(case_of(table, states[1:]), states[1:], SETTINGS)
    assert result.ensemble.consistency == pytest.approx(1.0, abs=0.15)


def test_what_cannot_be_filtered_is_refused():
    ensemble = members().float()
    with pytest.raises(ValueError, match="at least 2 members"):
        filter_ensemble(case_of(observations(), ensemble), ensemble[:1], SETTINGS)
    with pytest.raises(ValueError, match="cannot be used with a window"):
        filter_ensemble(case_of(observations(), ensemble, window=object()), ensemble, SETTINGS)
