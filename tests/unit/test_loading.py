"""Loading weights: what is read is the file, mapped into memory, and nothing is held twice."""

import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import small_network
from lora_envar.background.error_variables import ErrorVariables
from lora_envar.background.vae import VAE
from lora_envar.files.weights import load_weights, save_weights
from lora_envar.forecast.emulator import Emulator
from lora_envar.networks.swin import Network, NetworkSettings, without_weights

#: loads two VAEs and prints by how many bytes the second raised the peak of resident memory. The first is small: what
#: libraries take when they are used for the first time is no matter of the file's size
MEASURE = """
import sys
from lora_envar.background.vae import VAE

def resident(name):
    with open("/proc/self/status") as file:
        [line] = [line for line in file if line.startswith(name)]
    return 1024 * int(line.split()[1])

VAE.load(sys.argv[1])
before = resident("VmRSS")
vae = VAE.load(sys.argv[2])
print(resident("VmHWM") - before)
"""


def saved_vae(path, grid, core_width):
    network = NetworkSettings(
        grid.shape,
        (69,),
        (8,),
        widths=(16,),
        heads=(2,),
        depth=0,
        core_width=core_width,
        core_heads=2,
        core_depth=8,
        window=(4, 4),
    )
    vae = VAE(ErrorVariables(grid, None), network, sigma=0.5)
    vae.save(path)
    return vae


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="resident memory is read from Linux's /proc")
def test_a_vae_takes_the_memory_of_its_file(tmp_path, small_grid):
    saved_vae(tmp_path / "small.safetensors", small_grid, 16)
    saved_vae(tmp_path / "large.safetensors", small_grid, 512)
    size = (tmp_path / "large.safetensors").stat().st_size
    assert size > 150e6, "the libraries' own few MB must not matter"
    paths = [str(tmp_path / name) for name in ("small.safetensors", "large.safetensors")]
    done = subprocess.run([sys.executable, "-c", MEASURE, *paths], capture_output=True, text=True, check=True)
    assert 0.9 * size < int(done.stdout) < 1.1 * size


def test_what_is_loaded_is_what_was_saved(small_vae, tmp_path):
    small_vae.save(tmp_path / "vae.safetensors")
    loaded = VAE.load(tmp_path / "vae.safetensors")
    expected = small_vae.state_dict()
    assert loaded.state_dict().keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in loaded.state_dict().items())
    assert not any(tensor.is_meta for tensor in (*loaded.parameters(), *loaded.buffers()))
    latent = torch.randn(2, *loaded.latent_shape, generator=torch.Generator().manual_seed(1))
    # weights of a file lie at other addresses, by which matrix products may round otherwise
    torch.testing.assert_close(loaded.decode(latent), small_vae.decode(latent), rtol=1e-5, atol=1e-5)


def test_an_emulator_comes_back(small_grid, tmp_path):
    emulator = Emulator(small_grid, 10, small_network(outputs=(69,)))
    emulator.save(tmp_path / "emulator.safetensors")
    loaded = Emulator.load(tmp_path / "emulator.safetensors")
    state = torch.randn(1, 69, *small_grid.shape, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(loaded.step(state), emulator.step(state), rtol=1e-5, atol=1e-5)


def test_training_on_loaded_weights_leaves_the_file_alone(small_vae, tmp_path):
    small_vae.save(tmp_path / "vae.safetensors")
    before = (tmp_path / "vae.safetensors").read_bytes()
    loaded = VAE.load(tmp_path / "vae.safetensors")
    with torch.no_grad():
        for tensor in (*loaded.parameters(), *loaded.buffers()):
            tensor.zero_()
    assert not any(parameter.any() for parameter in loaded.parameters())
    assert (tmp_path / "vae.safetensors").read_bytes() == before


def test_modules_without_weights_take_no_memory_and_leave_others_alone():
    with without_weights():
        network = Network(small_network())
    assert all(parameter.is_meta and parameter.requires_grad for parameter in network.parameters())
    assert not any(buffer.is_meta for buffer in network.buffers()), "masks and indices are in no file"
    with pytest.raises(ZeroDivisionError), without_weights():
        raise ZeroDivisionError
    assert not any(parameter.is_meta for parameter in Network(small_network()).parameters())


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [0, 517, -1])
def test_one_value_that_is_not_finite_is_refused_by_name(tmp_path, value, place):
    tensors = {"empty": torch.zeros(0), "whole": torch.ones(10), "damaged": torch.ones(1000)}
    save_weights(tmp_path / "w.safetensors", tensors, {})
    assert load_weights(tmp_path / "w.safetensors")[0].keys() == tensors.keys()
    tensors["damaged"][place] = value
    save_weights(tmp_path / "w.safetensors", tensors, {})
    with pytest.raises(ValueError, match="the tensor damaged has values that are not finite"):
        load_weights(tmp_path / "w.safetensors")
