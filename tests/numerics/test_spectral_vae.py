"""Before it is trained a spectral VAE is the Gaussian background error: samples, posterior and analyses."""

import pytest
import torch
from conftest import small_network
from lora_envar.background.error_variables import ErrorVariables
from lora_envar.background.spectral import SpectralField, covariance_root, estimate_covariance
from lora_envar.background.vae import SpectralVAE, VAEBackgroundError
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


def test_the_linear_part_is_the_whole_until_a_network_is_trained(vae):
    residual = SpectralField(covariance_root(vae.lacking(covariance())), HARMONICS)
    model = VAEBackgroundError(vae, residual, 1.0)
    linear, where = model.linear_part()
    assert where == slice(None) and linear.control_size == model.control_size
    control = torch.randn(model.control_size, dtype=torch.float64, generator=generator(6))
    torch.testing.assert_close(linear.increment(control), model.increment(control))
    with torch.no_grad():
        vae.decoder.decoders[0].recovery.bias.fill_(0.1)
        vae.decoder.decoders[0].recovery.weight.fill_(0.1)
    trained = VAEBackgroundError(vae, residual, 1.0)
    assert not torch.allclose(trained.increment(control), linear.increment(control))
