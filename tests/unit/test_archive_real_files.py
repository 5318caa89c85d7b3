"""Real files of reanalyses and forecasts: what is read is what other readers find, and may be the atmosphere."""

from datetime import UTC, datetime

import numpy as np
import pytest
from conftest import prepared
from lora_envar.archive import SOURCES
from lora_envar.archive.layout import IncompleteError, Options
from lora_envar.archive.prepare import read_states
from lora_envar.fields.grid import Grid
from lora_envar.fields.state import SURFACE, channel_index


def grib_values(path, shape, **wanted):
    """A field read by ecCodes alone."""
    import eccodes

    with open(path, "rb") as file:
        while (message := eccodes.codes_grib_new_from_file(file)) is not None:
            if all(eccodes.codes_get(message, key, type(value)) == value for key, value in wanted.items()):
                return eccodes.codes_get_values(message).reshape(shape)
    raise AssertionError(f"no message has {wanted}")


def test_real_era5_comes_onto_the_example_s_grid(shared_data, tmp_path):
    """TL31 on a 64 x 32 Gaussian grid, axes (level, lon, lat), south first; its surface is derived."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "era5.nc").symlink_to(shared_data / "era5_tl31_19590102T00.nc")
    time = datetime(1959, 1, 2, tzinfo=UTC)
    SOURCES["files"].fetch({"path": str(tmp_path / "in"), "derive": SURFACE}, [time], tmp_path / "raw.nc")
    grid = Grid("gaussian", 32, 64)
    times, states = prepared(tmp_path / "raw.nc", grid, 21, SURFACE)
    assert times == [time]
    mean = {name: grid.mean(states[0, channel_index(name)].astype(float)) for name in ("z500", "t850", "msl", "u250")}
    # global means of the real atmosphere: 54-57 km2/s2, 273-283 K, 1005-1018 hPa, 8-20 m/s
    assert 5.35e4 < mean["z500"] < 5.75e4
    assert 270 < mean["t850"] < 285
    assert 1.005e5 < mean["msl"] < 1.018e5
    assert 5 < mean["u250"] < 20
    tropics_to_pole = states[0, channel_index("t850"), 15].mean() - states[0, channel_index("t850"), 0].mean()
    assert tropics_to_pole > 20, "north and south, or latitude and longitude, are not exchanged"


def test_real_ensemble_of_era5(shared_data):
    path = shared_data / "era5-levels-members.grib"
    with pytest.raises(ValueError, match=r"z has 10 ensemble members \(number 0 to 9\); choose one"):
        read_states([path])
    with pytest.raises(
        IncompleteError, match=r"missing: u10, v10, t2m, msl, q \(all levels\).*z50.*t1000; found: z, t"
    ):
        read_states([path], options=Options(member=3))
    found = read_states([path], options=Options(member=3), partial=True)
    assert found.grid == Grid("equiangular", 61, 120)
    assert f"{found.times[2]:%Y%m%dT%H}" == "20170102T00"
    for name, short, level in (("z500", "z", 500), ("t850", "t", 850)):
        expected = grib_values(path, (61, 120), shortName=short, level=level, number=3, dataDate=20170102, dataTime=0)
        np.testing.assert_allclose(found.fields[2, channel_index(name)], expected, rtol=1e-6)
    assert set(found.report[-1].removeprefix("missing: ").split(", ")) >= {"q (all levels)", "z50", "t1000"}


def test_real_era5_on_a_gaussian_grid(shared_data):
    import netCDF4

    path = shared_data / "era5_tl31_19590102T00.nc"
    with pytest.raises(IncompleteError, match="missing: u10, v10, t2m, msl; found: z, q, u, v, t"):
        read_states([path])
    found = read_states([path], options=Options(derive=SURFACE))
    assert (found.grid, found.missing) == (Grid("gaussian", 32, 64), ())
    with netCDF4.Dataset(path) as file:
        level = list(file["level"][:]).index(850)
        for name, short in (("temperature", "t"), ("specific_humidity", "q"), ("v_component_of_wind", "v")):
            expected = file[name][level].T[::-1]  # (lon, lat) from the south
            np.testing.assert_array_equal(found.fields[0, channel_index(f"{short}850")], expected)


def test_real_operational_forecasts(shared_data):
    """Relative humidity, six levels, steps of 0 and 6 h: two of the levels that lack lie between others."""
    path = shared_data / "earthkit_pl_regular_ll.grib"
    with pytest.raises(IncompleteError, match=r"missing: u10, v10, t2m, msl, z50.*z600.*z925.*interpolate_levels"):
        read_states([path])
    options = Options(derive=SURFACE, interpolate_levels=True)
    with pytest.raises(IncompleteError) as error:
        read_states([path], options=options)
    assert "missing: z50, z100, z150, z200, z250, q50" in str(error.value) and "z600" not in str(error.value)
    found = read_states([path], options=options, partial=True)
    hours = [f"{day}T{hour}" for day in ("03", "04") for hour in ("00", "06", "12", "18")]
    assert [f"{time:%dT%H}" for time in found.times] == hours

    def direct(short, level):
        return grib_values(path, (19, 36), shortName=short, level=level, dataDate=20240603, dataTime=1200, step=6)

    np.testing.assert_allclose(found.fields[3, channel_index("t500")], direct("t", 500), rtol=1e-6)
    low, high = direct("t", 500), direct("t", 700)
    expected = low + (high - low) * np.log(600 / 500) / np.log(700 / 500)
    np.testing.assert_allclose(found.fields[3, channel_index("t600")], expected, rtol=1e-6)
    # where saturation is over water, the Magnus formula of WMO-No. 8 agrees within 0.5 %
    celsius = direct("t", 850) - 273.15
    vapour = direct("r", 850) / 100 * 611.2 * np.exp(17.62 * celsius / (243.12 + celsius))
    expected, warm = 0.622 * vapour / (85000 - 0.378 * vapour), celsius > 0.01
    assert warm.sum() > 200
    np.testing.assert_allclose(found.fields[3, channel_index("q850")][warm], expected[warm], rtol=5e-3, atol=1e-7)


def test_real_erainterim_in_three_files(shared_data):
    import netCDF4

    paths = [shared_data / f"erai_2005-01-23-0000-{short}.nc" for short in "tuv"]
    with pytest.raises(IncompleteError, match=r"msl, z \(all levels\), q \(all levels\); found: u, v, t"):
        read_states(paths)
    found = read_states(paths, partial=True)
    assert found.grid == Grid("equiangular", 121, 240)
    assert "missing: u10, v10, t2m, msl, z (all levels), q (all levels)" in found.report
    for path, short in zip(paths, "tuv", strict=True):
        with netCDF4.Dataset(path) as file:
            expected = file[short][list(file["level"][:]).index(250)]
        np.testing.assert_allclose(found.fields[0, channel_index(f"{short}250")], expected, rtol=1e-6)
