"""Networks of simulated observations: where their columns lie, and what they observe."""

from datetime import UTC, datetime

import numpy as np
import pytest
from lora_envar.example_world.networks.simulated import error_fractions
from lora_envar.example_world.twin import STATE_VARIABLES, SimulatedNetwork, draw_columns, simulate
from lora_envar.fields.grid import Grid
from lora_envar.fields.state import LEVELS, NAMES, channel_index
from lora_envar.observations.catalogue import CODES, TYPES, names_of

BANDS = (0, 10, 30, 60, 90)  # degrees of latitude, both hemispheres


def density(grid, columns):
    """Columns an area of every band over those of the globe; the area is that of the band's rows of grid points."""
    latitude = np.abs(grid.latitude)
    row = np.abs(grid.latitude[columns // grid.nlon])
    share = np.histogram(row, BANDS)[0] / len(columns)
    area = np.histogram(latitude, BANDS, weights=grid.area_weights)[0] / grid.area_weights.sum()
    return share / area


@pytest.mark.parametrize("count", [63, 125, 250, 500, 700, 1000])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_quasi_uniform_columns_are_as_dense_at_every_latitude(count, seed):
    grid = Grid("gaussian", 32, 64)
    # of 63 columns, 11 lie within 10 degrees of the equator: one more or less is 9 %
    np.testing.assert_allclose(density(grid, draw_columns(grid, count, "quasi_uniform", seed)), 1.0, atol=0.1)


def test_quasi_uniform_columns_are_as_dense_on_a_grid_with_poles():
    grid = Grid("equiangular", 721, 1440)
    np.testing.assert_allclose(density(grid, draw_columns(grid, 1000, "quasi_uniform", 1)), 1.0, atol=0.02)


@pytest.mark.parametrize("arrangement", ["quasi_uniform", "random"])
@pytest.mark.parametrize("count", [1, 125, 2047, 2048])
def test_no_column_is_drawn_twice(arrangement, count):
    columns = draw_columns(Grid("gaussian", 32, 64), count, arrangement, 1)
    assert len(np.unique(columns)) == count
    assert (np.diff(columns) > 0).all()
    assert columns.min() >= 0
    assert columns.max() < 2048


def test_quasi_uniform_columns_are_no_neighbours_where_few_are_drawn():
    grid = Grid("gaussian", 32, 64)
    columns = draw_columns(grid, 125, "quasi_uniform", 1)
    latitude = np.radians(grid.latitude[columns // 64])
    longitude = np.radians(grid.longitude[columns % 64])
    position = np.stack(
        [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)], axis=1
    )
    cosine = position @ position.T - 2 * np.eye(125)
    # caps that cover the sphere once are sqrt(4 pi / 125) = 18 degrees apart; a row of grid points lies within 2.8
    assert np.degrees(np.arccos(cosine.max())) > 18 - 2 * 2.8


def test_another_seed_draws_another_network_of_the_same_density():
    grid = Grid("gaussian", 32, 64)
    first, second = (draw_columns(grid, 250, "quasi_uniform", seed) for seed in (1, 2))
    assert len(np.intersect1d(first, second)) < 100
    assert (first == draw_columns(grid, 250, "quasi_uniform", 1)).all()


TIME = datetime(2009, 1, 1, tzinfo=UTC)
SMALL = Grid("gaussian", 16, 32)
ERRORS = np.linspace(0.5, 1.5, 69)
EVERY_TYPE = (*STATE_VARIABLES, "refractivity")


def truth(_):
    """A state with temperatures and humidities that could be."""
    state = np.random.default_rng(1).normal(size=(69, *SMALL.shape))
    for index, name in enumerate(NAMES):
        if name[0] == "t":
            state[index] = 250.0 + 10.0 * state[index]
        if name[0] == "q":
            state[index] = 0.002 * np.abs(state[index])
    return state


def observed(columns=40, noise=True, state=truth, **options):
    network = SimulatedNetwork(draw_columns(SMALL, columns, "random", 1), ERRORS, noise, 3, **options)
    return simulate(state, [TIME], SMALL, network)


def test_all_variables_of_the_state_are_observed_unless_types_are_named():
    table = observed()
    assert len(table) == 69 * 40
    assert set(names_of(table.variable)) == set(STATE_VARIABLES)
    expected = truth(TIME).reshape(69, -1)[:, draw_columns(SMALL, 40, "random", 1)]
    np.testing.assert_array_equal(observed(noise=False).value, expected.ravel().astype("f4"))


@pytest.mark.parametrize("types", [("t", "u10"), ("refractivity", "q"), ("refractivity",)])
def test_a_type_is_observed_alike_whatever_else_is(types):
    every = observed(types=EVERY_TYPE)
    some = observed(types=types)
    expected = every.select(np.isin(names_of(every.variable), types))
    for column in ("variable", "pressure", "latitude", "value", "error", "station", "time"):
        np.testing.assert_array_equal(getattr(some, column), getattr(expected, column))


def test_refractivity_is_that_of_the_truth_with_errors_of_its_own():
    table = observed(400, types=("refractivity",))
    assert len(table) == len(LEVELS) * 400
    exact = observed(400, noise=False, types=("refractivity",))
    columns = draw_columns(SMALL, 400, "random", 1)
    level = LEVELS.index(500)
    humidity, kelvin = (truth(TIME)[NAMES.index(name)].ravel()[columns] for name in ("q500", "t500"))
    expected = TYPES["refractivity"].equivalent({"q": humidity, "t": kelvin}, 500.0)
    np.testing.assert_allclose(exact.value[level * 400 : (level + 1) * 400], expected, rtol=1e-6)
    model = TYPES["refractivity"].error(exact.pressure.astype(float), exact.value.astype(float))
    np.testing.assert_allclose(table.error, model, rtol=1e-5)
    # the standard deviation of 5200 draws is known to 1 / sqrt(2 x 5200), 1 %; four of these
    assert ((table.value - exact.value) / table.error).std() == pytest.approx(1.0, abs=0.04)
    share = observed(400, types=("refractivity",), relative_errors={"refractivity": 0.01})
    np.testing.assert_allclose(share.error, 0.01 * exact.value, rtol=1e-5)


def test_values_that_are_not_possible_are_not_made():
    def cold(time):
        state = truth(time)
        state[NAMES.index("t500"), :8] = 10.0
        return state

    table = observed(300, state=cold, types=EVERY_TYPE)
    rows = (table.variable == CODES["refractivity"]) & (table.pressure == 500)
    assert 0 < rows.sum() < 300 and (table.latitude[rows] < 0).all()
    assert (table.variable == CODES["t"]).sum() == 300 * len(LEVELS), "those of the state are as ever"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"types": ("t", "refractivty")}, "'refractivty' is unknown"),
        ({"relative_errors": {"t": 0.1}}, "errors of t are given by error_fraction"),
        ({"relative_errors": {"refractivity": 0.0}}, "0.0 for refractivity is not above zero"),
    ],
)
def test_a_network_that_cannot_be_is_refused(options, said):
    with pytest.raises(ValueError, match=said):
        observed(**options)


def test_single_variables_have_fractions_of_their_own():
    fractions = error_fractions({"error_fraction": 0.01, "error_fractions": {"t": 0.0025, "t2m": 0.005}})
    assert fractions.shape == (69,)
    assert fractions[channel_index("t850")] == 0.0025
    assert fractions[channel_index("t2m")] == 0.005
    assert fractions[channel_index("z500")] == 0.01
    assert set(error_fractions({"error_fraction": 0.1})) == {0.1}
