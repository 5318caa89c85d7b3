"""Adapters: nothing at the start, W + B A when trained, and nothing else changes."""

import copy
from dataclasses import replace

import pytest
import torch
from lora_envar.background.ensemble import perturbations
from lora_envar.background.error_variables import ErrorVariables
from lora_envar.background.finetuning import finetune, finetune_cycle, load_finetuned
from lora_envar.background.lora import TARGETS, adapters, add_adapters, load_adapters
from lora_envar.background.prior import ScaledNormal
from lora_envar.background.settings import (
    AdapterSettings,
    FinetuneSettings,
    LoraFinetuneSettings,
    TrainedFinetuneSettings,
)
from lora_envar.background.vae import VAE
from lora_envar.fields.grid import Grid
from lora_envar.fields.seeds import generator
from lora_envar.networks.training import Draws

GRID = Grid("gaussian", 16, 32)


def quiet(_):
    return None


COMMON = {"member_source": "own", "normalisation": "member", "ensemble_amplitude": 1.0, "minimum_members": 4}
TRAINED = {"carry_over": True, "epochs": 2, "batch": 4, "learning_rate": 1e-2}
ADAPTERS = LoraFinetuneSettings(**COMMON, **TRAINED, alpha=2.0, targets="query")
ALL_WEIGHTS = TrainedFinetuneSettings(**COMMON, **TRAINED)


def finetuned(vae, ensemble, settings, time, before, output):
    """One cycle's finetuning of a copy of a VAE, with seed 1 and, where there are adapters, rank 2."""
    added = AdapterSettings("query", 2) if isinstance(settings, LoraFinetuneSettings) else None
    finetune_cycle(copy.deepcopy(vae), ensemble, settings, added, (1, time), before, quiet).save(output)


def members(count=6):
    return torch.randn(count, 69, *GRID.shape, generator=generator(9)) * torch.linspace(0.5, 2, 69).view(-1, 1, 1)


@pytest.mark.parametrize("targets", TARGETS)
def test_untrained_adapters_change_no_bit(small_vae, targets):
    errors = members(2)
    latents = torch.randn(2, *small_vae.latent_shape, generator=generator(4))
    before = small_vae.encode(errors), small_vae.decode(latents)
    add_adapters(small_vae, AdapterSettings(targets), generator(1))
    after = small_vae.encode(errors), small_vae.decode(latents)
    for old, new in zip((*before[0], before[1]), (*after[0], after[1]), strict=True):
        assert torch.equal(old, new)


def test_a_trained_adapter_is_an_explicit_sum_and_nothing_else_changes(small_vae):
    pretrained = copy.deepcopy(small_vae)
    add_adapters(small_vae, AdapterSettings("query", 2, 3.0), generator(1))
    finetune(small_vae, members(), replace(ADAPTERS, epochs=15, learning_rate=3e-2), Draws(2), quiet)
    explicit = copy.deepcopy(pretrained)
    weights = {}
    for name, tensor in small_vae.state_dict().items():
        stem = name.replace(".linear.", ".")
        if name.endswith(".down"):
            layer = name.removesuffix(".down")
            up = small_vae.state_dict()[f"{layer}.up"]
            weights[f"{layer}.weight"] = pretrained.state_dict()[f"{layer}.weight"] + 1.5 * up @ tensor
            assert up.abs().max() > 0
        elif not name.endswith(".up"):
            assert torch.equal(tensor, pretrained.state_dict()[stem]), f"{stem} must stay frozen"
            weights.setdefault(stem, tensor)
    for name in [name for name in weights if name.endswith("query.weight")]:
        explicit.state_dict()[name].copy_(weights[name])
    z = torch.randn(1, *small_vae.latent_shape, generator=generator(3))
    with torch.no_grad():
        change, gap = (small_vae.decode(z) - other.decode(z) for other in (pretrained, explicit))
    # two orders of summation in single precision against a change of some per mille
    assert gap.norm() < 1e-2 * change.norm()
    assert change.norm() > 1e-3 * pretrained.decode(z).norm()


def test_tuning_gives_the_same_bytes_for_the_same_seed_and_says_when_it_is_off(small_vae, tmp_path):
    for name, time in (("a", "t1"), ("b", "t1"), ("c", "t2")):
        finetuned(small_vae, members(), ADAPTERS, time, None, tmp_path / name)
    contents = [(tmp_path / name).read_bytes() for name in "abc"]
    assert contents[0] == contents[1] != contents[2]

    finetuned(small_vae, members(3), ADAPTERS, "t3", tmp_path / "a", tmp_path / "few")
    from lora_envar.files.weights import load_weights

    few, metadata = load_weights(tmp_path / "few")
    assert (metadata["finetuned"], metadata["members"]) == (False, 3)
    before, _ = load_weights(tmp_path / "a")
    assert all(torch.equal(few[name], before[name]) for name in before), "carried over as they were"


@pytest.mark.parametrize("carry_over", [True, False])
def test_full_finetuning_starts_at_the_weights_before_or_at_the_pretrained_ones(small_vae, tmp_path, carry_over):
    pretrained = copy.deepcopy(small_vae).state_dict()
    finetuned(small_vae, members(), ALL_WEIGHTS, "t1", None, tmp_path / "first")
    tuned = VAE.load(tmp_path / "first").state_dict()
    moved = {name for name in tuned if not torch.equal(tuned[name], pretrained[name])}
    assert moved and not any(name.startswith("variables.") for name in moved)
    before = tmp_path / "first" if carry_over else None
    finetuned(small_vae, None, ALL_WEIGHTS, "t2", before, tmp_path / "second")
    again = VAE.load(tmp_path / "second").state_dict()
    assert all(torch.equal(again[name], (tuned if carry_over else pretrained)[name]) for name in again)


def test_the_scaled_static_model_has_the_amplitude_of_the_members(small_vae):
    """Members twice as large, encoded linearly, give twice the scale, and nothing but the scale changes."""
    settings = FinetuneSettings(**{**COMMON, "normalisation": "spread"})
    scales = []
    for factor in (8.0, 16.0):
        vae = copy.deepcopy(small_vae)
        done = finetune_cycle(vae, factor * members(), settings, AdapterSettings("scale"), (1, "t"), None, quiet)
        assert done.finetuned and isinstance(done.vae.prior, ScaledNormal)
        mean, log_variance = vae.encode(perturbations(factor * members(), vae.variables, "spread"))
        assert done.vae.prior.scale.item() == pytest.approx((mean**2 + log_variance.exp()).mean().sqrt().item())
        scales.append(done.vae.prior.scale.item())
        assert [name for name, _ in vae.named_parameters() if name not in dict(small_vae.named_parameters())] == [
            "prior.scale"
        ]
    assert scales[1] > scales[0]


def test_latents_without_an_ensemble_are_those_of_the_static_model(small_vae, tmp_path):
    """Bit for bit: its control vector has no numbers that do nothing."""
    settings = FinetuneSettings(**{**COMMON, "normalisation": "spread"})
    for name, ensemble in (("none", None), ("some", 16.0 * members())):
        vae = copy.deepcopy(small_vae)
        finetune_cycle(vae, ensemble, settings, AdapterSettings("latents", 2), (1, "t"), None, quiet).save(
            tmp_path / name
        )
    assert load_finetuned(copy.deepcopy(small_vae), tmp_path / "none").prior.rank == 0
    assert load_finetuned(copy.deepcopy(small_vae), tmp_path / "some").prior.rank == 2


def test_adapters_of_another_rank_are_refused(small_vae, tmp_path):
    finetuned(small_vae, None, ADAPTERS, "t", None, tmp_path / "a")
    tuned = load_finetuned(copy.deepcopy(small_vae), tmp_path / "a")
    add_adapters(small_vae, AdapterSettings(rank=3))
    with pytest.raises(ValueError, match="rank"):
        load_adapters(small_vae, adapters(tuned))


def test_member_normalisation_removes_amplitude_and_the_other_keeps_it():
    variables = ErrorVariables(GRID, None)
    deviation = variables.scale.copy_(torch.linspace(0.5, 2, 69).view(-1, 1, 1))
    own = members() * torch.tensor([1.0, 1, 1, 1, 1, 6]).view(-1, 1, 1, 1)
    by_member = perturbations(own, variables, "member")
    moments = GRID.mean(by_member).mean(0), GRID.mean(by_member**2).mean(0)
    torch.testing.assert_close(moments[0], torch.zeros(69), rtol=0, atol=1e-5)
    torch.testing.assert_close(moments[1], torch.ones(69), rtol=1e-4, atol=0)
    kept = perturbations(own, variables, "amplitude")
    departures = (own - own.mean(0)) / deviation
    ratio = kept / departures
    torch.testing.assert_close(ratio, ratio.flatten()[0].expand_as(ratio), rtol=1e-3, atol=0)
    # of the members' mean square, M / (M - 1) is the variance of the population they are drawn from
    assert GRID.mean(kept**2).mean().item() == pytest.approx(5 / 6, rel=1e-4)


def test_the_spread_of_the_day_stays():
    """Against the amplitude, twice the departures are twice the perturbations, and their variance is the members'."""
    variables = ErrorVariables(GRID, None)
    deviation = variables.scale.copy_(torch.linspace(0.5, 2, 69).view(-1, 1, 1))
    own = members()
    wide = own.mean(0) + 2 * (own - own.mean(0))
    once, twice = (perturbations(states, variables, "spread") for states in (own, wide))
    torch.testing.assert_close(twice, 2 * once, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close((once * deviation).var(0, correction=0), own.var(0), rtol=1e-4, atol=1e-5)
    same = (perturbations(states, variables, "amplitude") for states in (own, wide))
    torch.testing.assert_close(*same, rtol=1e-4, atol=1e-5)


def test_an_ensemble_without_spread_is_refused():
    same = members(1).expand(4, -1, -1, -1)
    for normalisation in ("member", "amplitude", "spread"):
        with pytest.raises(ValueError, match="spread"):
            perturbations(same, ErrorVariables(GRID, None), normalisation)
