"""Files appear whole or not at all, and what is damaged is refused by name."""

from datetime import UTC, datetime

import numpy as np
import pytest
import torch
from lora_envar.example_world.packed import read_coefficients, write_coefficients
from lora_envar.fields.state import NAMES
from lora_envar.files.atomic import atomic_write
from lora_envar.files.state_file import Archive, StateFile, read_state, write_states
from lora_envar.files.weights import load_weights, save_weights
from lora_envar.observations.table import Observations, read_observations, write_observations

TIME = datetime(2009, 1, 1, 6, tzinfo=UTC)


@pytest.fixture
def states():
    return np.random.default_rng(1).normal(size=(1, 69, 16, 32)).astype(np.float32)


def test_a_failing_writer_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_write(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("compressed", [False, True])
def test_states_come_back_exactly(tmp_path, states, small_grid, compressed):
    write_states(tmp_path / "a.nc", states, [TIME], small_grid, compressed=compressed)
    file = StateFile(tmp_path / "a.nc")
    assert (file.grid, file.times) == (small_grid, [TIME])
    np.testing.assert_array_equal(file.read(TIME), states[0])


def test_the_same_state_gives_the_same_bytes(tmp_path, states, small_grid):
    for name in "ab":
        write_states(tmp_path / f"{name}.nc", states, [TIME], small_grid)
    assert (tmp_path / "a.nc").read_bytes() == (tmp_path / "b.nc").read_bytes()


def test_values_that_are_not_finite_are_not_written(tmp_path, states, small_grid):
    states[0, NAMES.index("q700"), 3, 4] = np.nan
    with pytest.raises(ValueError, match="q700"):
        write_states(tmp_path / "a.nc", states, [TIME], small_grid)
    assert not list(tmp_path.iterdir())


def test_nan_in_a_file_is_refused_by_file_and_variable(tmp_path, states, small_grid):
    import netCDF4

    write_states(tmp_path / "a.nc", states, [TIME], small_grid)
    with netCDF4.Dataset(tmp_path / "a.nc", "a") as dataset:
        dataset["specific_humidity"][0, 2, 3, 4] = np.nan
    with pytest.raises(ValueError, match=r"a\.nc: the variable specific_humidity"):
        read_state(tmp_path / "a.nc")


@pytest.mark.parametrize("keep", [0, 100, 5000, -1])
def test_a_truncated_file_is_refused_by_name(tmp_path, states, small_grid, keep):
    path = tmp_path / "a.nc"
    write_states(path, states, [TIME], small_grid)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"a\.nc"):
        read_state(path)


def test_a_missing_file_or_time_is_named(tmp_path, states, small_grid):
    with pytest.raises(ValueError, match=r"none\.nc does not exist"):
        StateFile(tmp_path / "none.nc")
    write_states(tmp_path / "a.nc", states, [TIME], small_grid)
    with pytest.raises(ValueError, match="2009-01-01T12"):
        Archive([tmp_path / "a.nc"]).read(TIME.replace(hour=12))


def test_packing_keeps_every_scale_to_one_percent(tmp_path):
    random = np.random.default_rng(2)
    degrees = np.concatenate([[wave] * (2 * wave + 1) for wave in range(6)])
    values = torch.from_numpy(random.normal(size=(50, 69, 36)).astype(np.float32) * 10.0 ** -np.sort(degrees))
    times = np.datetime64("2001-01-01", "h") + np.arange(50) * np.timedelta64(6, "h")
    write_coefficients(tmp_path / "a.nc", times, values, packed=True)
    again, unpacked = read_coefficients(tmp_path / "a.nc")
    assert (again == times).all()
    from lora_envar.example_world.packed import _degree

    for wave in range(6):
        chosen = _degree(36) == wave
        anomaly = (values - values.mean(0))[..., chosen]
        error = (unpacked - values)[..., chosen]
        # rounding to steps of 2 % of the standard deviation: 2 / sqrt(12) = 0.58 %
        assert (error.square().mean() / anomaly.square().mean()).sqrt() < 0.01


def test_weights_come_back_and_damage_is_named(tmp_path):
    tensors = {"large": torch.randn(60, 60), "scale": torch.tensor([[[1e-7]], [[2e5]]])}
    save_weights(tmp_path / "w.safetensors", tensors, {"a": [1, 2]}, half=True)
    loaded, settings = load_weights(tmp_path / "w.safetensors")
    assert settings == {"a": [1, 2]}
    assert torch.equal(loaded["scale"], tensors["scale"]), "small tensors keep single precision"
    assert torch.equal(loaded["large"], tensors["large"].half().float())
    (tmp_path / "w.safetensors").write_bytes((tmp_path / "w.safetensors").read_bytes()[:200])
    with pytest.raises(ValueError, match=r"w\.safetensors"):
        load_weights(tmp_path / "w.safetensors")


def test_observations_come_back_and_bad_errors_are_refused(tmp_path):
    table = Observations.build(
        variable=[2, 4],
        pressure=[np.nan, 500],
        latitude=[10, 20],
        longitude=[0, 350],
        time=[5, 5],
        value=[280, 5e4],
        error=[1, 10],
    )
    write_observations(tmp_path / "o.nc", table, {"used": 2})
    again = read_observations(tmp_path / "o.nc")
    np.testing.assert_array_equal(again.value, table.value)
    assert np.isnan(again.observation_minus_background).all()
    write_observations(tmp_path / "o.nc", table.with_columns(error=np.array([1, 0], dtype="f4")))
    with pytest.raises(ValueError, match="error"):
        read_observations(tmp_path / "o.nc")
