"""Sources of the archive, against files in many layouts and local stand-ins for the services."""

import sys
import types
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import numpy as np
import pytest
import xarray as xr
from lora_envar.archive.layout import IncompleteError, states_from_dataset
from lora_envar.archive.prepare import prepare
from lora_envar.archive.sources import SourceError, fetch_arco, fetch_cds, fetch_example, fetch_files
from lora_envar.grid import Grid
from lora_envar.state import LEVELS, SURFACE, UPPER_AIR, VARIABLES, channel_index
from lora_envar.state_file import StateFile

GRID = Grid("equiangular", 7, 12)
TIMES = [datetime(2022, 1, 1, hour, tzinfo=UTC) for hour in (0, 6)]
STAMPS = np.array([time.replace(tzinfo=None) for time in TIMES], dtype="datetime64[ns]")


def dataset(names="long"):
    """A dataset whose every value says which field, time and place it is."""
    random = np.random.default_rng(5)
    coordinates = {"time": STAMPS, "level": list(LEVELS), "latitude": GRID.latitude, "longitude": GRID.longitude}
    variables = {}
    for short, (long, _, units) in VARIABLES.items():
        dimensions = (
            ("time", "latitude", "longitude") if short in SURFACE else ("time", "level", "latitude", "longitude")
        )
        shape = [len(coordinates[name]) for name in dimensions]
        variables[long if names == "long" else short] = (dimensions, random.normal(size=shape), {"units": units})
    return xr.Dataset(variables, coordinates)


def reference():
    return states_from_dataset(dataset(), "reference")[2]


def test_axes_names_and_units_in_any_layout_give_the_same_states():
    base = dataset("short")
    turned = base.assign_coords(longitude=(base.longitude + 180) % 360 - 180).sortby("longitude")
    renamed = base.rename(time="valid_time", level="pressure_level", latitude="lat", longitude="lon")
    pascal = base.assign_coords(level=("level", np.array(LEVELS) * 100.0, {"units": "Pa"}))
    height = base.drop_vars("z").assign(gh=(base.z / 9.80665).assign_attrs(units="gpm"))
    layouts = {
        "south first": base.sortby("latitude"),
        "from the ground up": base.sortby("level", ascending=False),
        "from -180": turned,
        "other names": renamed,
        "transposed": base.transpose("level", "longitude", "latitude", "time"),
        "in Pa": pascal,
        "height": height,
    }
    for name, layout in layouts.items():
        times, grid, states = states_from_dataset(layout, name)
        assert (times, grid) == (TIMES, GRID), name
        np.testing.assert_allclose(states, reference(), rtol=1e-6, err_msg=name)


def test_all_that_lacks_is_named():
    lacking = dataset("short").drop_vars(["t2m", "q"]).sel(level=[level for level in LEVELS if level != 50])
    with pytest.raises(IncompleteError, match=r"some file: lacks t2m, q50.*z50"):
        states_from_dataset(lacking, "some file")


def test_unknown_units_are_refused():
    odd = dataset("short")
    odd["t"].attrs["units"] = "degC"
    with pytest.raises(ValueError, match="t is in 'degC', expected 'K'"):
        states_from_dataset(odd, "some file")


def test_holes_are_refused_by_channel():
    holed = dataset("short")
    holed["q"][0, 9, 2, 3] = np.nan
    with pytest.raises(ValueError, match="q700"):
        states_from_dataset(holed, "some file")


def test_surface_variables_are_derived_when_asked():
    """In a standard atmosphere 111 m deep below 1000 hPa, sea-level pressure is 1013.25 hPa and t2m near 288 K."""
    standard = dataset("short").drop_vars(list(SURFACE))
    standard["z"][:, -1], standard["t"][:, -1] = 110.9 * 9.80665, 287.43
    states = states_from_dataset(standard, "standard", SURFACE)[2]
    np.testing.assert_allclose(states[:, channel_index("msl")], 101325, rtol=2e-4)
    np.testing.assert_allclose(states[:, channel_index("t2m")], 288.15, atol=0.05)


def test_files_joins_what_a_folder_holds(tmp_path):
    whole = dataset("short")
    whole[list(SURFACE)].to_netcdf(tmp_path / "surface.nc")
    whole[list(UPPER_AIR)].isel(time=[0]).to_netcdf(tmp_path / "upper_00.nc")
    whole[list(UPPER_AIR)].isel(time=[1]).to_netcdf(tmp_path / "upper_06.nc")
    fetch_files({"path": str(tmp_path)}, TIMES, tmp_path / "out" / "raw.nc")
    times, states = prepare(tmp_path / "out" / "raw.nc", GRID, None)
    assert times == TIMES
    np.testing.assert_allclose(states, reference(), rtol=1e-6)


def test_files_refuses_empty_folders_and_damaged_files_by_name(tmp_path):
    with pytest.raises(SourceError, match=r"archive\.path"):
        fetch_files({"path": str(tmp_path)}, TIMES, tmp_path / "raw")
    (tmp_path / "broken.nc").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(50))
    with pytest.raises(SourceError, match=r"broken\.nc"):
        fetch_files({"path": str(tmp_path)}, TIMES, tmp_path / "raw")
    (tmp_path / "broken.nc").unlink()
    (tmp_path / "broken.grib").write_bytes(b"GRIB" + bytes(50))
    with pytest.raises(SourceError, match=r"broken\.grib"):
        fetch_files({"path": str(tmp_path)}, TIMES, tmp_path / "raw")


def test_arco_reads_a_zarr_store_and_names_an_unreachable_one(tmp_path):
    dataset().to_zarr(tmp_path / "store.zarr")
    fetch_arco({"path": str(tmp_path / "store.zarr")}, TIMES[1:], tmp_path / "raw.nc")
    times, states = prepare(tmp_path / "raw.nc", GRID, None)
    assert times == TIMES[1:]
    np.testing.assert_allclose(states, reference()[1:], rtol=1e-6)
    with pytest.raises(SourceError, match="ARCO-ERA5"):
        fetch_arco({"path": str(tmp_path / "none.zarr")}, TIMES, tmp_path / "none.nc")
    assert not (tmp_path / "none.nc").exists()


class FakeClient:
    """Stands in for cdsapi.Client: fails as the service does, then writes GRIB of the wanted fields."""

    failures = 0
    requests: ClassVar[list] = []

    def __init__(self, **_):
        pass

    def retrieve(self, name, request, target):
        self.requests.append((name, request))
        if FakeClient.failures:
            FakeClient.failures -= 1
            raise ConnectionError("the service is busy")
        write_grib(target, dataset("short"), SURFACE if "single" in name else UPPER_AIR)


def write_grib(target, whole, names):
    import eccodes

    grib = {"u10": (165, 0), "v10": (166, 0), "t2m": (167, 0), "msl": (151, 0)}
    grib |= {"z": (129, 1), "q": (133, 1), "u": (131, 1), "v": (132, 1), "t": (130, 1)}
    with open(target, "wb") as file:
        for name in names:
            for time in range(len(TIMES)):
                for level in LEVELS if name in UPPER_AIR else [0]:
                    handle = eccodes.codes_grib_new_from_samples("regular_ll_sfc_grib1")
                    field = whole[name].isel(time=time)
                    field = field.sel(level=level) if name in UPPER_AIR else field
                    keys = {
                        "Ni": GRID.nlon,
                        "Nj": GRID.nlat,
                        "latitudeOfFirstGridPointInDegrees": 90.0,
                        "latitudeOfLastGridPointInDegrees": -90.0,
                        "longitudeOfFirstGridPointInDegrees": 0.0,
                        "longitudeOfLastGridPointInDegrees": 330.0,
                        "iDirectionIncrementInDegrees": 30.0,
                        "jDirectionIncrementInDegrees": 30.0,
                        "dataDate": int(f"{TIMES[time]:%Y%m%d}"),
                        "dataTime": TIMES[time].hour * 100,
                        "table2Version": 128,
                        "indicatorOfParameter": grib[name][0],
                        "bitsPerValue": 24,
                    }
                    for key, value in keys.items():
                        eccodes.codes_set(handle, key, value)
                    if name in UPPER_AIR:
                        eccodes.codes_set(handle, "indicatorOfTypeOfLevel", 100)
                        eccodes.codes_set(handle, "level", level)
                    eccodes.codes_set_values(handle, field.values.ravel())
                    eccodes.codes_write(handle, file)
                    eccodes.codes_release(handle)


@pytest.fixture
def cds(monkeypatch):
    monkeypatch.setitem(sys.modules, "cdsapi", types.SimpleNamespace(Client=FakeClient))
    monkeypatch.setattr("lora_envar.archive.sources.clock.sleep", lambda seconds: None)
    FakeClient.failures, FakeClient.requests = 0, []


def test_cds_tries_again_checks_what_arrives_and_joins_it(cds, tmp_path):
    FakeClient.failures = 2
    fetch_cds({}, TIMES, tmp_path / "raw.nc")
    assert len(FakeClient.requests) == 4, "two failures and two successes"
    assert FakeClient.requests[-1][1]["pressure_level"] == [str(level) for level in LEVELS]
    times, states = prepare(tmp_path / "raw.nc", GRID, None)
    assert times == TIMES
    np.testing.assert_allclose(states, reference(), atol=2e-6)  # 24 bits of fields of order 1
    assert [path.name for path in tmp_path.iterdir()] == ["raw.nc"]


def test_cds_gives_up_with_one_line_and_goes_on_where_it_stopped(cds, tmp_path):
    FakeClient.failures = 10**6
    with pytest.raises(SourceError, match="the service is busy"):
        fetch_cds({}, TIMES, tmp_path / "raw.nc")
    assert not (tmp_path / "raw.nc").exists()
    FakeClient.failures, FakeClient.requests = 0, []
    fetch_cds({}, TIMES, tmp_path / "raw.nc")
    assert len(FakeClient.requests) == 2
    # what has arrived is not asked for again
    FakeClient.requests = []
    partial = tmp_path / ".second.nc.requests"
    partial.mkdir()
    whole = dataset("short")
    write_grib(partial / "20220101-00-06-reanalysis-era5-single-levels.grib", whole, SURFACE)
    fetch_cds({}, TIMES, tmp_path / "second.nc")
    assert [name for name, _ in FakeClient.requests] == ["reanalysis-era5-pressure-levels"]


def test_example_is_unpacked_and_its_limits_are_named(tmp_path):
    from conftest import ROOT

    settings = {"path": str(ROOT / "resources" / "example" / "archive.nc")}
    wanted = [datetime(2009, 3, 1, tzinfo=UTC), datetime(2009, 5, 21, tzinfo=UTC)]
    fetch_example(settings, wanted, tmp_path / "raw.nc")
    file = StateFile(tmp_path / "raw.nc")
    assert file.times == wanted
    t2m = file.read(wanted[0])[channel_index("t2m")]
    assert 200 < t2m.min() < t2m.max() < 330
    with pytest.raises(SourceError, match="2009-05-21T06"):
        fetch_example(settings, [wanted[1] + timedelta(hours=6)], tmp_path / "none.nc")


@pytest.mark.parametrize(
    ("name", "lacks", "has"),
    [
        ("era5_tl31_19590102T00.nc", "u10, v10, t2m, msl$", "q700"),
        ("earthkit_pl_regular_ll.grib", "u10, v10, t2m, msl, q50", "r"),
        ("erai_2005-01-23-0000-t.nc", "u10, v10, t2m, msl, z50", "t"),
        ("era5-levels-members.grib", "u10, v10, t2m, msl", "z, t"),
    ],
)
def test_real_files_are_understood_and_what_they_lack_is_named(shared_data, tmp_path, name, lacks, has):
    from lora_envar.archive.sources import open_datasets

    with pytest.raises(ValueError) as error:
        states_from_dataset(open_datasets(shared_data / name)[0], name)
    assert lacks.rstrip("$") in str(error.value)


def test_real_era5_comes_onto_the_example_s_grid(shared_data, tmp_path):
    """TL31 on a 64 x 32 Gaussian grid, axes (level, lon, lat), south first; its surface is derived."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "era5.nc").symlink_to(shared_data / "era5_tl31_19590102T00.nc")
    time = datetime(1959, 1, 2, tzinfo=UTC)
    fetch_files({"path": str(tmp_path / "in")}, [time], tmp_path / "raw.nc")
    grid = Grid("gaussian", 32, 64)
    times, states = prepare(tmp_path / "raw.nc", grid, 21, SURFACE)
    assert times == [time]
    mean = {name: grid.mean(states[0, channel_index(name)].astype(float)) for name in ("z500", "t850", "msl", "u250")}
    # global means of the real atmosphere: 54-57 km2/s2, 273-283 K, 1005-1018 hPa, 8-20 m/s
    assert 5.35e4 < mean["z500"] < 5.75e4
    assert 270 < mean["t850"] < 285
    assert 1.005e5 < mean["msl"] < 1.018e5
    assert 5 < mean["u250"] < 20
    tropics_to_pole = states[0, channel_index("t850"), 15].mean() - states[0, channel_index("t850"), 0].mean()
    assert tropics_to_pole > 20, "north and south, or latitude and longitude, are not exchanged"
