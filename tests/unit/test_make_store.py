"""A Zarr store in the layout of WeatherBench 2: its layout, its values, and what it does not replace."""

import numpy as np
import pytest
import torch
import xarray as xr
from conftest import prepared
from lora_envar.archive import SOURCES
from lora_envar.archive.plausibility import plausible_range
from lora_envar.command import main
from lora_envar.example_world.packed import write_coefficients
from lora_envar.export.store import make_store
from lora_envar.fields.grid import Grid
from lora_envar.fields.harmonics import SphericalHarmonics
from lora_envar.fields.seeds import generator
from lora_envar.fields.state import CHANNELS, LEVELS, channel_index
from lora_envar.fields.timeline import from_hours

TIMES = np.datetime64("2009-02-10T06", "h") + 6 * np.arange(50)


@pytest.fixture(scope="module")
def coefficients():
    """Smooth states at T3: the middle of what is plausible, and waves of a twentieth of its width."""
    harmonics = SphericalHarmonics(Grid("gaussian", 32, 64), 3)
    waves = torch.randn(50, 69, harmonics.size, generator=generator(1, "store"))
    low, high = torch.tensor([plausible_range(channel) for channel in CHANNELS]).T
    waves *= 0.02 * (high - low)[:, None]
    waves[..., 0] = (low + high) / 2
    return waves


@pytest.fixture(scope="module")
def store(tmp_path_factory, coefficients):
    folder = tmp_path_factory.mktemp("store")
    write_coefficients(folder / "archive.nc", TIMES, coefficients)
    assert main(["make-store", "--archive", str(folder / "archive.nc"), "-o", str(folder / "era5.zarr")]) == 0
    return folder / "era5.zarr"


def test_the_layout_is_that_of_weatherbench(store):
    with xr.open_zarr(store) as dataset:
        assert dataset.geopotential.dims == ("time", "level", "longitude", "latitude")
        assert dataset["2m_temperature"].dims == ("time", "longitude", "latitude")
        assert dataset.geopotential.shape == (50, 13, 64, 32)
        assert {variable.dtype for variable in dataset.data_vars.values()} == {np.dtype("float32")}
        assert dataset.level.values.tolist() == list(LEVELS)
        np.testing.assert_allclose(dataset.latitude, -90 + 5.625 * (np.arange(32) + 0.5), atol=1e-10)
        np.testing.assert_allclose(dataset.longitude, 5.625 * np.arange(64))
        assert dataset.time.values[-1] == TIMES[-1]
        assert len(dataset.data_vars) == 9
    assert (store / ".zmetadata").is_file(), "format 2, consolidated"


def test_the_source_reads_what_was_written(store, coefficients, tmp_path):
    """Linear interpolation between latitudes 5.6 degrees apart costs a few per cent of a wave of degree 3."""
    times = [from_hours(int(time.astype("datetime64[h]").astype(int))) for time in TIMES[38:43]]
    SOURCES["arco"].fetch({"path": str(store)}, times, tmp_path / "raw.nc")
    with xr.open_dataset(tmp_path / "raw.nc") as raw:
        # the store has longitudes before latitudes; a file that has them so takes five times as long to read
        assert raw.geopotential.dims == ("time", "level", "latitude", "longitude")
        assert raw["2m_temperature"].dims == ("time", "latitude", "longitude")
    grid = Grid("gaussian", 32, 64)
    found_times, states = prepared(tmp_path / "raw.nc", grid, 3)
    assert found_times == times
    expected = SphericalHarmonics(grid, 3).synthesise(coefficients[38:43]).numpy()
    waves = expected - expected.mean((-2, -1), keepdims=True)
    for name in ("z500", "t2m", "msl", "q700"):
        index = channel_index(name)
        error = np.abs(states[:, index] - expected[:, index]).max()
        assert error < 0.05 * np.abs(waves[:, index]).max(), name


def test_a_store_is_replaced_and_nothing_else_is(store, tmp_path, capsys):
    archive = str(store.parent / "archive.nc")
    before = (store / ".zmetadata").read_bytes()
    assert main(["make-store", "--archive", archive, "-o", str(store)]) == 0
    assert (store / ".zmetadata").read_bytes() == before
    assert [path.name for path in store.parent.iterdir() if path.name.startswith(".")] == []
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious").write_text("mine")
    capsys.readouterr()
    assert main(["make-store", "--archive", archive, "-o", str(tmp_path / "mine")]) == 1
    assert "mine exists, but is not a store that was made here" in capsys.readouterr().err
    assert (tmp_path / "mine" / "precious").read_text() == "mine"


def test_what_a_killed_run_left_is_replaced(store, tmp_path):
    part = tmp_path / ".era5.zarr.part"
    part.mkdir()
    (part / "temperature").mkdir()
    (part / "temperature" / "0.0.0.0").write_bytes(b"cut")
    make_store(store.parent / "archive.nc", tmp_path / "era5.zarr")
    assert not part.exists()
    with xr.open_zarr(store) as one, xr.open_zarr(tmp_path / "era5.zarr") as other:
        xr.testing.assert_identical(one.load(), other.load())


def test_an_odd_number_of_latitudes_includes_the_poles(tmp_path, coefficients, store):
    """A part of the period, on other points; the archive's waves are resolved, so that they are exact."""
    arguments = ["--points", "30", "15", "--start", "2009-02-11T00", "--end", "2009-02-11T12"]
    archive = ["--archive", str(store.parent / "archive.nc")]
    assert main(["make-store", *archive, "-o", str(tmp_path / "fine.zarr"), *arguments]) == 0
    with xr.open_zarr(tmp_path / "fine.zarr") as dataset:
        np.testing.assert_allclose(dataset.latitude, np.linspace(-90, 90, 15))
        np.testing.assert_allclose(dataset.longitude, 12 * np.arange(30))
        assert dataset.time.values.tolist() == TIMES[3:6].astype("datetime64[ns]").tolist()
        found = dataset["2m_temperature"].values
    grid = Grid("equiangular", 15, 30)
    expected = SphericalHarmonics(grid, 3).synthesise(coefficients[3:6])[:, channel_index("t2m")].numpy()
    np.testing.assert_allclose(found, expected[:, ::-1].transpose(0, 2, 1), rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--start", "2030-01-01T00"], "none between --start and --end"),
        (["--points", "6", "3"], "resolves T1, but not T3"),
    ],
)
def test_a_store_that_cannot_be_made_is_an_error_and_leaves_nothing(tmp_path, store, arguments, message, capsys):
    archive = ["--archive", str(store.parent / "archive.nc")]
    assert main(["make-store", *archive, "-o", str(tmp_path / "one.zarr"), *arguments]) == 1
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_time_that_is_none_is_an_error(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["make-store", "-o", str(tmp_path / "one.zarr"), "--start", "yesterday"])
    assert "'yesterday' is not a time" in capsys.readouterr().err
