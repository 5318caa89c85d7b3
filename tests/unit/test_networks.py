"""Networks of simulated observations: where their columns lie."""

import numpy as np
import pytest
from lora_envar.example_world.twin import draw_columns
from lora_envar.fields.grid import Grid

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
