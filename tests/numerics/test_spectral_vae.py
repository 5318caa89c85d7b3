"""Before it is trained a spectral VAE is the Gaussian background error: samples, posterior and analyses."""

import pytest
import torch
from conftest import small_network
from lora_envar.background.error_variables import ErrorVariables
from lora_envar.background.spectral import SpectralField, covariance_root, estimate_covariance
from lora_envar.background.vae import SpectralVAE
from lora_envar.fields.grid import Grid
from lora_envar.fields.harmonics import SphericalHarmonics
from lora_envar.fields.seeds import generator

GRID, WAVES, CHANNELS, LATENT = Grid("gaussian", 16, 32), 5, 6, 4
HARMONICS = SphericalHarmonics(GRID, WAVES, torch.float64)


def covariance():
    factors = torch.randn(WAVES + 1, CHANNELS, CHANNELS, dtype=torch.float64, generator=generator(1, "factors"))
    return factors @ factors.mT / 36 + 1e-3 * torch.eye(CHANNELS, dtype=torch.float64)


@pytest.fixture
def vae():
    torch.manual_seed(1)
    model = SpectralVAE(
        ErrorVariables(GRID, WAVES, channels=CHANNELS), small_network((CHANNELS,), (LATENT,)), sigma=2.0
    ).double()
    model.harmonics = HARMONICS
    model.fit_basis(covariance())
    return model.eval().requires_grad_(False)


def test_linear_stage_and_residual_have_the_covariance_of_the_errors_but_for_what_lies_beyond_the_noise(vae):
    own, weight = covariance(), vae.basis
    values, vectors = torch.linalg.eigh(own)
    kept = torch.where(torch.arange(CHANNELS) >= CHANNELS - LATENT, values, values.clamp_max(vae.noise))
    expected = vectors @ (kept.unsqueeze(-1) * vectors.mT)
    assert not torch.allclose(expected, own), "the case must show the noise"
    torch.testing.assert_close(weight @ weight.mT + vae.lacking(own), expected, rtol=1e-6, atol=1e-9)


def test_decoded_white_latents_have_the_covariance_of_the_linear_stage(vae):
    draws = torch.randn(4000, *vae.latent_shape, dtype=torch.float64, generator=generator(2))
    sampled = estimate_covariance(vae.decode(draws).split(500), HARMONICS)
    expected = vae.basis @ vae.basis.mT
    assert (sampled - expected)[1:].norm() < 0.05 * expected[1:].norm()


def test_the_encoder_is_the_posterior_of_the_linear_model(vae):
    """Mean and variance of z given e = W z + s eps by the textbook's formulas, coefficient by coefficient."""
    errors = HARMONICS.synthesise(torch.randn(1, CHANNELS, HARMONICS.size, dtype=torch.float64, generator=generator(3)))
    mean, log_variance = vae.encode(errors)
    coefficients = HARMONICS.analyse(errors)[0]
    for index, wave in enumerate(HARMONICS.degree.tolist()):
        weight = vae.basis[wave]
        marginal = weight @ weight.T + vae.noise * torch.eye(CHANNELS, dtype=torch.float64)
        gain = weight.T @ torch.linalg.inv(marginal)
        torch.testing.assert_close(mean[0, :, index], gain @ coefficients[:, index])
        variance = (torch.eye(LATENT, dtype=torch.float64) - gain @ weight).diagonal()
        torch.testing.assert_close(log_variance[0, :, index].exp(), variance)


def test_training_lowers_its_loss_from_the_best_linear_model(vae):
    """Errors whose variance depends on latitude: no homogeneous model can hold that, the networks can."""
    from lora_envar.background.pretraining import pretrain
    from lora_envar.networks.training import TrainingSettings

    vae = vae.float()
    vae.harmonics = SphericalHarmonics(GRID, WAVES)
    field = SpectralField(covariance_root(covariance()).float(), vae.harmonics)
    draws = torch.randn(64, field.control_size, generator=generator(4))
    profile = torch.linspace(0.2, 1.8, GRID.nlat)[:, None]
    errors = torch.stack([vae.harmonics.project(profile * field(row)) for row in draws])
    vae.fit_basis(estimate_covariance(errors.split(16), vae.harmonics))
    noise = torch.randn(64, *vae.latent_shape, generator=generator(5))
    before = vae.loss(errors, noise).item()
    settings = TrainingSettings(steps=40, batch=16, learning_rate=3e-3)
    pretrain(vae, lambda picked: errors[picked], list(range(64)), settings, 1, lambda _: None)
    assert vae.loss(errors, noise).item() < before - 1e-3


def test_blocks_share_neither_components_nor_amplitudes(small_grid):
    """The linear stage of a block is that of it alone, and its latents leave the other variables as they are."""
    torch.manual_seed(1)
    variables = ErrorVariables(small_grid, 5, "control", "channel")
    blocks = (3, 2, 4, 1)
    vae = SpectralVAE(variables, small_network((69,), (sum(blocks),)), 2.0, blocks=blocks)
    waves = vae.truncation + 1
    factors = torch.randn(waves, 69, 69, dtype=torch.float64, generator=generator(1, "factors"))
    covariance = factors @ factors.mT / 69
    vae.fit_basis(covariance)
    product = vae.weight @ vae.weight.mT
    parts = vae.latent_parts()
    assert list(parts) == list(variables.blocks()) == ["psi", "chi", "mass", "humidity"]
    for (name, where), count in zip(variables.blocks().items(), blocks, strict=True):
        values, vectors = torch.linalg.eigh(covariance[:, where, where])
        kept = (values[:, -count:] - vae.noise).clamp_min(0.0)
        expected = vectors[..., -count:] @ (kept.unsqueeze(-1) * vectors[..., -count:].mT)
        torch.testing.assert_close(product[:, where, where], expected.float(), rtol=1e-4, atol=1e-5)
        latent = torch.zeros(1, *vae.latent_shape)
        latent.view(-1)[parts[name]] = 1.0
        field = vae.decode(latent)[0]
        others = [index for index in range(69) if not where.start <= index < where.stop]
        assert field[where].abs().max() > 0.01
        assert field[others].abs().max() < 1e-6
    held = product + vae.lacking(covariance).float()
    for where in variables.blocks().values():
        assert (covariance[:, where, where] - held[:, where, where]).diagonal(dim1=-2, dim2=-1).min() > -1e-5


def test_blocks_that_are_not_those_of_the_variables_are_refused(small_grid):
    with pytest.raises(ValueError, match=r"have \(3, 2\) latent channels, but must have 5 in 4 blocks"):
        SpectralVAE(ErrorVariables(small_grid, 5, "control"), small_network((69,), (5,)), 2.0, blocks=(3, 2))
