"""Variables in which a VAE sees errors: there and back, and what a homogeneous covariance of them has in the state."""

import pytest
import torch
from cases import GRID
from lora_envar.background.error_variables import STANDARD_DEVIATIONS, VARIABLES, ErrorVariables, smoothed
from lora_envar.background.genbe import SIZES, ControlVariables
from lora_envar.background.spectral import SpectralField, covariance_root, estimate_covariance
from lora_envar.fields.grid import Grid
from lora_envar.fields.harmonics import SphericalHarmonics, finest_truncation
from lora_envar.fields.seeds import generator
from lora_envar.verification.learned import Comparison, describe

T = 8
FINE = Grid("gaussian", 32, 64)


def errors(count: int) -> torch.Tensor:
    """Random control variables on all wavenumbers of the grid: their winds have a stream function and a potential."""
    variables = ControlVariables(SphericalHarmonics(GRID, finest_truncation(GRID)))
    draws = generator(3, "errors")
    waves = 1.0 + variables.harmonics.degree
    scale = {"psi": 1e6, "chi": 1e5, "mass": 10.0, "humidity": 1e-4}
    parts = {name: torch.randn(count, size, len(waves), generator=draws) / waves for name, size in SIZES.items()}
    return variables.synthesise(**{name: scale[name] * part for name, part in parts.items()})


def fitted(
    variables: str, standard_deviation: str, samples: torch.Tensor, grid: Grid = GRID, truncation: int | None = None
) -> ErrorVariables:
    found = ErrorVariables(grid, truncation, variables, standard_deviation)
    found.fit(lambda: iter(samples.split(16)))
    return found


@pytest.mark.parametrize("variables", VARIABLES)
@pytest.mark.parametrize("standard_deviation", STANDARD_DEVIATIONS)
def test_what_is_normalised_comes_back(variables, standard_deviation):
    samples = errors(40)
    fit = fitted(variables, standard_deviation, samples)
    fit.gain.fill_(1.0)  # winds over G have parts that the truncation does not hold
    back = fit.restore(fit.normalise(samples[:3]))
    scale = samples.abs().amax((0, 2, 3), keepdim=True)
    torch.testing.assert_close(back / scale, samples[:3] / scale, rtol=0, atol=1e-4)
    torch.testing.assert_close(fit.restore(fit.normalise(samples[:1])[0]), back[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("variables", VARIABLES)
@pytest.mark.parametrize("standard_deviation", STANDARD_DEVIATIONS)
def test_normalised_errors_have_unit_variance(variables, standard_deviation):
    samples = errors(40)
    fit = fitted(variables, standard_deviation, samples)
    mean_square = GRID.mean(fit.normalise(samples) ** 2).mean(0)
    torch.testing.assert_close(mean_square, torch.ones(69), rtol=0.05, atol=0)


def test_per_channel_nothing_but_a_number_is_divided_by():
    samples = errors(20)
    fit = fitted("state", "channel", samples)
    expected = GRID.mean(samples.double() ** 2).mean(0).sqrt().float().view(-1, 1, 1)
    torch.testing.assert_close(fit.normalise(samples), samples / expected, rtol=1e-5, atol=0)


def test_smoothing_keeps_the_mean_and_the_sign():
    rough = torch.zeros(2, *FINE.shape, dtype=torch.float64)
    rough[0, 5, 7] = 1.0
    rough[1] = 2.0
    found = smoothed(rough, FINE)
    assert (found > 0).all()
    torch.testing.assert_close(found[1], rough[1])
    assert FINE.mean(found)[0].item() == pytest.approx(FINE.mean(rough)[0].item(), rel=0.02)


def test_homogeneous_control_variables_have_the_errors_balance_and_map_of_variance():
    """Samples of the homogeneous covariance of f: of control variables in balance with mass, of the state's not.

    Of both they have the standard deviation of errors at every place, of zonal wind as of mass.
    """
    mixed = ErrorVariables(FINE, T, "control", "local")
    mixed.scale[14:28] = 1e-3  # divergent wind
    for level in range(13):  # z is in balance, but for a part that is small
        mixed.balance_mass[:, 2 + level, 1 + level] = 1.0
    latitude = torch.as_tensor(FINE.latitude, dtype=torch.float32).deg2rad()
    mixed.relative.copy_((0.5 + latitude.sin() ** 2)[:, None].expand(69, *FINE.shape))

    def draw(root: torch.Tensor, variables: ErrorVariables, purpose: str) -> torch.Tensor:
        field = SpectralField(root, SphericalHarmonics(FINE, len(root) - 1))
        draws = generator(5, purpose)
        return torch.stack(
            [variables.restore(field(torch.randn(field.control_size, generator=draws))) for _ in range(200)]
        )

    red = torch.eye(69) / (1.0 + torch.arange(T + 1.0)).view(-1, 1, 1)
    truth = draw(red, mixed, "truth")
    expected = describe(truth.double(), FINE)
    coupling = {}
    for kind in VARIABLES:
        fit = fitted(kind, "local", truth, FINE, T)
        waves = SphericalHarmonics(FINE, fit.waves or T)
        root = covariance_root(estimate_covariance([fit.normalise(truth)], waves)).float()
        found = describe(draw(root, fit, "samples").double(), FINE)
        assert Comparison("", "", found, expected).map_correlation()["z500"] > 0.8
        assert Comparison("", "", found, expected).map_correlation()["u500"] > 0.8
        coupling[kind] = [found.values["balance", "z500", band] for band in ("60S-30S", "30N-60N")]
        assert min(expected.values["balance", "z500", band] for band in ("60S-30S", "30N-60N")) > 0.9
    assert min(coupling["control"]) > 0.9
    assert max(map(abs, coupling["state"])) < 0.3
