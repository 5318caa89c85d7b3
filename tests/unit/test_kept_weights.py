"""Weights kept between steps: nobody can tell them from those of the file, whatever a step does with them."""

import os

import pytest
import torch
from conftest import small_network
from lora_envar.background.finetuning import finetune_cycle
from lora_envar.background.pretraining import pretrain
from lora_envar.background.settings import AdapterSettings, TrainedFinetuneSettings
from lora_envar.background.vae import VAE
from lora_envar.fields.seeds import generator
from lora_envar.files.kept_weights import KeptWeights, keep_weights
from lora_envar.files.weights import load_weights, save_weights
from lora_envar.forecast.emulator import Emulator
from lora_envar.networks.training import TrainingSettings


@pytest.fixture
def keeping():
    """A process that keeps weights, as a resident one does."""
    keep_weights()
    yield
    keep_weights(0, 0)


@pytest.fixture
def path(tmp_path):
    return written(tmp_path / "a.safetensors", 1.0)


def written(path, value):
    """A file of 400 bytes of weights, all the same number."""
    save_weights(path, {"w": torch.full((100,), value)}, {"sizes": [1, 2]})
    return path


def is_kept(kept, path) -> bool:
    """Whether a second look gives the same tensor."""
    first, second = (kept.load(path, "cpu")[0]["w"] for _ in range(2))
    return first is second


def test_what_is_kept_is_given_again_by_any_name_of_the_file(path, tmp_path, monkeypatch):
    kept = KeptWeights(2, 1e9)
    first = kept.load(path, "cpu")[0]["w"]
    (tmp_path / "link").symlink_to(path)
    monkeypatch.chdir(tmp_path)
    for name in (path, "a.safetensors", "link"):
        assert kept.load(name, "cpu")[0]["w"].data_ptr() == first.data_ptr()
    assert kept.load(path, "meta")[0]["w"].is_meta, "another device has tensors of its own"
    assert kept.load(path, "cpu")[0]["w"].data_ptr() == first.data_ptr()


def test_a_process_keeps_nothing_unless_it_is_told_to(path):
    assert not is_kept(KeptWeights(0, 1e9), path)


@pytest.mark.parametrize("atomically", [True, False])
def test_a_file_that_is_written_anew_is_read_anew(path, tmp_path, atomically):
    kept = KeptWeights(2, 1e9)
    before = kept.load(path, "cpu")[0]["w"].clone()
    status = path.stat()
    if atomically:
        written(path, 2.0)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    else:
        path.write_bytes(written(tmp_path / "b.safetensors", 2.0).read_bytes())
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert path.stat().st_size == status.st_size
    assert torch.equal(kept.load(path, "cpu")[0]["w"], 2.0 * before)


def test_a_tensor_that_was_changed_in_place_is_read_anew(path):
    kept = KeptWeights(2, 1e9)
    kept.load(path, "cpu")[0]["w"].zero_()
    assert (kept.load(path, "cpu")[0]["w"] == 1.0).all()


def test_settings_and_names_are_everybody_s_own(path):
    kept = KeptWeights(2, 1e9)
    tensors, settings = kept.load(path, "cpu")
    tensors.clear()
    settings["sizes"].clear()
    tensors, settings = kept.load(path, "cpu")
    assert list(tensors) == ["w"]
    assert settings == {"sizes": [1, 2]}


@pytest.mark.parametrize("kept", [KeptWeights(2, 1e9), KeptWeights(9, 900.0)], ids=["files", "bytes"])
def test_the_files_that_were_read_last_are_kept(tmp_path, kept):
    first, second, third = (written(tmp_path / f"{name}.safetensors", 1.0) for name in "abc")
    pointers = {path: kept.load(path, "cpu")[0]["w"] for path in (first, second)}
    kept.load(first, "cpu")
    kept.load(third, "cpu")  # there is room for two
    assert kept.load(first, "cpu")[0]["w"] is pointers[first]
    assert kept.load(second, "cpu")[0]["w"] is not pointers[second]


def test_a_file_larger_than_all_room_is_read_and_not_kept(path):
    kept = KeptWeights(2, 399.0)
    assert (kept.load(path, "cpu")[0]["w"] == 1.0).all()
    assert not is_kept(kept, path)


def test_a_missing_file_is_missed_as_without(tmp_path, path):
    messages = []
    for load in (load_weights, KeptWeights(2, 1e9).load):
        with pytest.raises(FileNotFoundError) as caught:
            load(tmp_path / "missing.safetensors", "cpu")
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    kept = KeptWeights(2, 1e9)
    kept.load(path, "cpu")
    path.unlink()
    with pytest.raises(FileNotFoundError):
        kept.load(path, "cpu")


def finetuned(path, grid, added):
    settings = TrainedFinetuneSettings("own", "member", 1.0, 2, carry_over=False, epochs=2, batch=2, learning_rate=0.1)
    members = torch.randn(4, 69, *grid.shape, generator=generator(1))
    return finetune_cycle(VAE.load(path), members, settings, added, (1, "time")).vae


def trained_fully(path, grid):
    return finetuned(path, grid, None)


def trained_adapters(path, grid):
    return finetuned(path, grid, AdapterSettings("all_linear"))


def pretrained_further(path, grid):
    errors = torch.randn(4, 69, *grid.shape, generator=generator(1))
    loaded = VAE.load(path)
    pretrain(loaded, lambda indices: errors[indices], list(range(4)), TrainingSettings(2, 2, 0.1), 1)
    return loaded


@pytest.mark.parametrize("train", [trained_fully, trained_adapters, pretrained_further])
def test_a_training_changes_nothing_that_is_kept(small_vae, tmp_path, keeping, train):
    path = tmp_path / "vae.safetensors"
    small_vae.save(path)
    before = VAE.load(path).state_dict()
    trained = train(path, small_vae.grid).state_dict()
    after = VAE.load(path).state_dict()
    stored, _ = load_weights(path)
    for name, tensor in after.items():
        assert tensor.data_ptr() == before[name].data_ptr(), "it is kept"
        assert torch.equal(tensor, stored[name]), name
    assert any(name not in stored or not torch.equal(tensor, stored[name]) for name, tensor in trained.items())


def test_networks_of_kept_weights_share_them(small_grid, small_vae, tmp_path, keeping):
    small_vae.save(tmp_path / "vae.safetensors")
    Emulator(small_grid, 10, small_network(outputs=(69,))).save(tmp_path / "emulator.safetensors")
    for load, name in ((VAE.load, "vae"), (Emulator.load, "emulator")):
        path = tmp_path / f"{name}.safetensors"
        first, second = (load(path) for _ in range(2))
        tensors = second.state_dict()
        assert all(tensors[key].data_ptr() == tensor.data_ptr() for key, tensor in first.state_dict().items())
        assert not any(parameter.requires_grad for parameter in second.parameters())
