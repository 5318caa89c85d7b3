"""Laws of grids, regridding and spherical harmonics."""

import numpy as np
import pytest
import torch
from lora_envar.fields.grid import Grid
from lora_envar.fields.harmonics import SphericalHarmonics, VectorHarmonics
from lora_envar.fields.regridding import Regridder

GRIDS = [Grid("gaussian", 16, 32), Grid("equiangular", 19, 36)]


@pytest.mark.parametrize("grid", GRIDS, ids=lambda grid: grid.kind)
def test_area_weights_integrate_low_polynomials(grid):
    sine = np.sin(np.radians(grid.latitude))[:, None] * np.ones(grid.shape)
    assert grid.mean(np.ones(grid.shape)) == pytest.approx(1.0, abs=1e-14)
    assert grid.mean(sine) == pytest.approx(0.0, abs=1e-14)
    # exact by quadrature on the Gaussian grid; on the other to second order in the step of 10 degrees
    assert grid.mean(sine**2) == pytest.approx(1 / 3, abs=1e-14 if grid.kind == "gaussian" else 5e-3)


def test_grids_are_known_by_their_coordinates():
    for grid in (*GRIDS, Grid("equiangular", 721, 1440), Grid("gaussian", 128, 256)):
        assert Grid.from_coordinates(grid.latitude, grid.longitude) == grid
    with pytest.raises(ValueError, match="neither"):
        Grid.from_coordinates(np.linspace(60, 30, 10), np.linspace(0, 90, 20))


@pytest.mark.parametrize("grid", GRIDS, ids=lambda grid: grid.kind)
def test_harmonics_are_orthonormal_and_projection_is_idempotent(grid):
    harmonics = SphericalHarmonics(grid, 7, torch.float64)
    coefficients = torch.randn(3, harmonics.size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    field = harmonics.synthesise(coefficients)
    torch.testing.assert_close(harmonics.analyse(field), coefficients, rtol=0, atol=1e-12)
    torch.testing.assert_close(harmonics.project(field), field, rtol=0, atol=1e-12)
    torch.testing.assert_close(harmonics.power(field).sum(-1), coefficients.square().sum(-1))
    if grid.kind == "gaussian":  # the quadrature of the area mean is exact for products
        torch.testing.assert_close(grid.mean(field**2), coefficients.square().sum(-1))


def test_sums_of_products_have_one_order_whatever_is_installed():
    """torch asks opt_einsum for another where that package is there, as with the tests' own dependencies."""
    draws = torch.Generator().manual_seed(1)
    first, second, third = (torch.randn(40, 40, 40, generator=draws) for _ in range(3))
    found = torch.einsum("aij,ajk,akl->ail", first, second, third)
    assert torch.equal(found, torch.einsum("aik,akl->ail", torch.einsum("aij,ajk->aik", first, second), third))
    assert not torch.backends.opt_einsum.enabled


def test_a_truncation_beyond_the_grid_is_refused():
    with pytest.raises(ValueError, match="T15, but not T16"):
        SphericalHarmonics(Grid("gaussian", 16, 32), 16)


@pytest.mark.parametrize("method", ["bilinear", "conservative"])
@pytest.mark.parametrize("pair", [(GRIDS[0], GRIDS[1]), (GRIDS[1], GRIDS[0])], ids=["to_poles", "from_poles"])
def test_regridding_keeps_constants_wraps_around_and_has_its_adjoint(pair, method):
    source, target = pair
    regrid = Regridder(source, target, method, torch.float64)
    ones = torch.ones(source.shape, dtype=torch.float64)
    torch.testing.assert_close(regrid(ones), torch.ones(target.shape, dtype=torch.float64))
    draws = torch.Generator().manual_seed(2)
    x = torch.randn(source.shape, dtype=torch.float64, generator=draws, requires_grad=True)
    y = torch.randn(target.shape, dtype=torch.float64, generator=draws)
    image = regrid(x)
    adjoint = torch.autograd.grad(image, x, y)[0]
    assert float((image * y).sum().detach()) == pytest.approx(float((x * adjoint).sum().detach()), rel=1e-10)
    if method == "conservative":
        assert float(target.mean(image.detach())) == pytest.approx(float(source.mean(x.detach())), abs=1e-12)


def test_bilinear_is_periodic():
    """Turning the globe by one cell of both grids turns the result."""
    source, target = Grid("gaussian", 16, 32), Grid("gaussian", 32, 64)
    regrid = Regridder(source, target, "bilinear", torch.float64)
    x = torch.randn(source.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(regrid(x.roll(1, -1)), regrid(x).roll(2, -1))


@pytest.mark.parametrize("method", ["bilinear", "conservative"])
@pytest.mark.parametrize("pair", [(GRIDS[0], GRIDS[1]), (GRIDS[1], GRIDS[0])], ids=["to_poles", "from_poles"])
def test_regridding_to_some_points_is_that_to_all(pair, method):
    source, target = pair
    regrid = Regridder(source, target, method, torch.float64)
    draws = torch.Generator().manual_seed(4)
    x = torch.randn(3, *source.shape, dtype=torch.float64, generator=draws)
    points = torch.randperm(target.nlat * target.nlon, generator=draws)[:100]
    corners = torch.tensor([0, target.nlon - 1, target.nlat * target.nlon - 1])
    for some in (points, corners):
        torch.testing.assert_close(regrid.at(some)(x), regrid(x).flatten(-2)[:, some], rtol=1e-12, atol=1e-12)


def test_tables_of_a_transform_are_made_once_while_they_are_in_use(monkeypatch):
    """The error models of a hybrid have one grid and truncation; at T127, the tables take a second to make."""
    from lora_envar.fields import harmonics as module

    made = []
    build = module.RealSHT

    def counted(*sizes, **options):
        made.append(sizes)
        return build(*sizes, **options)

    monkeypatch.setattr(module, "RealSHT", counted)
    first = SphericalHarmonics(GRIDS[0], 6)
    second = SphericalHarmonics(GRIDS[0], 6)
    assert len(made) == 1
    field = torch.randn(16, 32, generator=torch.Generator().manual_seed(1))
    assert torch.equal(first.project(field), second.project(field))
    SphericalHarmonics(GRIDS[0], 6, torch.float64)
    SphericalHarmonics(GRIDS[0], 5)
    assert len(made) == 3, "another type or truncation has tables of its own"
    winds = [VectorHarmonics(harmonics) for harmonics in (first, second)]
    assert torch.equal(*(wind.analyse(field, field)[0] for wind in winds))
    del first, second, winds
    SphericalHarmonics(GRIDS[0], 6)
    assert len(made) == 4, "what is no longer in use takes no memory"
