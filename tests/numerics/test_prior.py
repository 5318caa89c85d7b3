"""The low-rank adapter of the latents: an explicit covariance, its divergence, and the minimum in closed form."""

import pytest
import torch
from lora_envar.background.prior import LowRankNormal, ScaledNormal, StandardNormal
from lora_envar.background.vae import VAEBackgroundError
from lora_envar.fields.seeds import generator

SIZE, RANK, COUNT = 40, 3, 6


def drawn(*shape, seed=1):
    return torch.randn(*shape, dtype=torch.float64, generator=generator(seed))


def posterior():
    """Samples of a low-rank population, of which some directions stand out."""
    means = drawn(COUNT, RANK, seed=2) @ (torch.tensor([[5.0], [3.0], [2.0]]).double() * drawn(RANK, SIZE, seed=3))
    return means + 0.3 * drawn(COUNT, SIZE, seed=4), -0.4 + 0.1 * drawn(COUNT, SIZE, seed=5)


def adapter(seed=6):
    model = LowRankNormal(SIZE, RANK, drawn(1))
    with torch.no_grad():
        model.up.copy_(0.3 * drawn(SIZE, RANK, seed=seed))
    return model


def test_latents_have_the_explicit_covariance():
    """z = v + L w, with v and w the standard normal numbers of a control vector."""
    model = adapter()
    control = drawn(SIZE + RANK)
    standard = model.standard(control)
    torch.testing.assert_close(model.latents(control), standard[:SIZE] + model.up @ standard[SIZE:])
    jacobian = torch.autograd.functional.jacobian(model.latents, control)
    scale = torch.autograd.functional.jacobian(model.standard, control).diagonal()
    covariance = (jacobian / scale) @ (jacobian / scale).T
    torch.testing.assert_close(covariance, torch.eye(SIZE).double() + model.up @ model.up.T)


def test_the_divergence_is_that_of_the_two_normal_distributions():
    model = adapter()
    mean, log_variance = posterior()
    explicit = torch.eye(SIZE).double() + model.up @ model.up.T
    prior = torch.distributions.MultivariateNormal(torch.zeros(SIZE).double(), explicit)
    for index, value in enumerate(model.divergence(mean, log_variance)):
        own = torch.distributions.MultivariateNormal(mean[index], torch.diag(log_variance[index].exp()))
        expected = torch.distributions.kl_divergence(own, prior)
        assert value.item() == pytest.approx(expected.item(), rel=1e-9)


def test_without_adapter_it_is_the_standard_normal():
    mean, log_variance = posterior()
    untrained = LowRankNormal(SIZE, RANK, drawn(1))
    torch.testing.assert_close(
        untrained.divergence(mean, log_variance), StandardNormal().divergence(mean, log_variance), rtol=1e-12, atol=0
    )


def test_the_fit_is_the_minimum():
    """Of all covariances 1 + L L^T: no gradient with respect to L is left, and training from elsewhere ends there."""
    mean, log_variance = posterior()
    fitted = LowRankNormal(SIZE, RANK, drawn(1))
    fitted.fit(mean, log_variance)
    least = fitted.divergence(mean, log_variance).mean().item()
    second = (mean.T @ mean) / COUNT + torch.diag(log_variance.exp().mean(0))

    def divergence(factor):
        covariance = torch.eye(SIZE).double() + factor @ factor.T
        trace = torch.linalg.solve(covariance, second).diagonal().sum()
        return 0.5 * (trace + torch.linalg.slogdet(covariance).logabsdet - log_variance.mean(0).sum() - SIZE)

    factor = drawn(SIZE, RANK, seed=7).requires_grad_(True)
    first = torch.autograd.grad(divergence(factor), factor)[0].norm()
    optimiser = torch.optim.LBFGS([factor], max_iter=1000, tolerance_change=0.0, line_search_fn="strong_wolfe")

    def closure():
        optimiser.zero_grad()
        value = divergence(factor)
        value.backward()
        return value

    optimiser.step(closure)
    assert divergence(factor).item() == pytest.approx(least, rel=1e-8)
    own = fitted.up.detach().requires_grad_(True)
    assert torch.autograd.grad(divergence(own), own)[0].norm() < 1e-8 * first


def test_the_scale_has_the_divergence_of_two_normal_distributions_and_its_fit_is_the_minimum():
    mean, log_variance = posterior()
    model = ScaledNormal(drawn(1))
    torch.testing.assert_close(
        model.divergence(mean, log_variance), StandardNormal().divergence(mean, log_variance), rtol=1e-12, atol=0
    )
    model.fit(mean, log_variance)
    prior = torch.distributions.Normal(torch.zeros(SIZE).double(), model.scale.detach())
    own = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    expected = torch.distributions.kl_divergence(own, prior).sum(1)
    torch.testing.assert_close(model.divergence(mean, log_variance), expected, rtol=1e-10, atol=0)
    slope = torch.autograd.grad(model.divergence(mean, log_variance).mean(), model.scale)[0]
    assert abs(slope.item()) < 1e-9 * SIZE
    control = drawn(SIZE)
    torch.testing.assert_close(model.standard(control) * model.scale, model.latents(control))


def test_ranks_beyond_the_samples_add_nothing():
    mean, log_variance = torch.cat([drawn(2, SIZE)] * 2), torch.full((4, SIZE), -1.0).double()
    small, large = (LowRankNormal(SIZE, rank, drawn(1)) for rank in (2, 6))
    small.fit(mean, log_variance)
    large.fit(mean, log_variance)
    torch.testing.assert_close(large.up @ large.up.T, small.up @ small.up.T, rtol=1e-8, atol=1e-8)
    assert not large.up[:, :4].any(), "samples of two directions were asked for six"


def test_the_background_term_is_that_of_the_adapted_distribution(small_vae):
    """The least |v|^2 + |w|^2 of all control vectors with the same latents z is z^T (1 + L L^T)^-1 z."""
    plain = VAEBackgroundError(small_vae, None, 0.0)
    size = plain.control_size
    latents = torch.randn(size, generator=generator(8))
    torch.testing.assert_close(plain.penalty(latents), latents.square().sum())
    expected_increment = plain.increment(latents)
    prior = small_vae.prior = LowRankNormal(size, 2, latents)
    with torch.no_grad():
        prior.up.copy_(torch.randn(size, 2, generator=generator(10)) / size**0.5)
    prior.requires_grad_(False)
    model = VAEBackgroundError(small_vae, None, 0.0)
    assert model.parts() == {"latents": slice(0, size), "ensemble": slice(size, size + 2)}
    small = torch.eye(2) + prior.up.T @ prior.up
    added = torch.linalg.solve(small, prior.up.T @ latents)
    norms = (1 + prior.up.square().sum(0)).sqrt()
    control = torch.cat([latents - prior.up @ added, norms * added])
    torch.testing.assert_close(model.increment(control), expected_increment, rtol=1e-4, atol=1e-5)
    expected = latents.square().sum() - latents @ prior.up @ added
    torch.testing.assert_close(model.penalty(control), expected, rtol=1e-4, atol=0)
