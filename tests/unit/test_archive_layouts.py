"""Files of the archive in any layout: the same states for any axes, names, units and grids, or a refusal by name."""

import numpy as np
import pytest
import xarray as xr
from archive_files import GRID, STAMPS, TIMES, VALUES, assert_same, dataset, reference, states_from_dataset, write_grib
from conftest import prepared
from lora_envar.archive import SOURCES
from lora_envar.archive.layout import (
    IncompleteError,
    Options,
    saturation_pressure,
    specific_humidity,
    stack,
    standard_dataset,
)
from lora_envar.archive.opening import SourceError
from lora_envar.archive.prepare import read_states
from lora_envar.fields.grid import Grid
from lora_envar.fields.state import LEVELS, SURFACE, UPPER_AIR, VARIABLES, channel_index


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


def test_a_field_keeps_the_order_of_its_axes_until_it_is_read(tmp_path):
    """What xarray transposes before it is read from a file, it reads point by point."""
    dataset("short").transpose("time", "level", "longitude", "latitude").to_netcdf(tmp_path / "turned.nc")
    with xr.open_dataset(tmp_path / "turned.nc", cache=False) as turned:
        standard, _ = standard_dataset([("turned.nc", turned)])
        assert standard.t.dims == ("time", "level", "longitude", "latitude")
        np.testing.assert_allclose(stack(standard, "turned.nc", ()), reference(), rtol=1e-6)


def test_all_that_lacks_is_named():
    lacking = dataset("short").drop_vars(["t2m", "q"]).sel(level=[level for level in LEVELS if level != 50])
    with pytest.raises(
        IncompleteError, match=r"some file: fields are missing: t2m, q \(all levels\), z50, u50, v50, t50; found:"
    ):
        states_from_dataset(lacking, "some file")


def test_unknown_units_are_refused():
    odd = dataset("short")
    odd["t"].attrs["units"] = "degC"
    with pytest.raises(ValueError, match="t is in 'degC', but must be in 'K'"):
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


def test_saturation_and_specific_humidity_have_known_values():
    """Smithsonian tables: 2339 Pa over water at 20 C, 38.0 Pa over ice at -30 C; between, the mixture lies between."""
    np.testing.assert_allclose(saturation_pressure(np.array([293.15, 243.15])), [2339.0, 38.0], rtol=2e-3)
    mixed = saturation_pressure(np.array(261.66))  # half way from -23 C to 0 C: a quarter is water
    water, ice = 611.21 * np.exp(17.502 * -11.5 / (261.66 - 32.19)), 611.21 * np.exp(22.587 * -11.5 / (261.66 + 0.7))
    np.testing.assert_allclose(mixed, 0.25 * water + 0.75 * ice, rtol=1e-12)
    # 50 % at 20 C and 1000 hPa: e = 1169.5 Pa, q = 0.62197 * 1169.5 / (1e5 - 0.37803 * 1169.5) = 7.306 g/kg
    np.testing.assert_allclose(specific_humidity(50.0, np.array(293.15), 1e5), 7.306e-3, rtol=2e-3)


def test_relative_humidity_is_converted_and_said_to_be(tmp_path):
    humid = dataset("short").drop_vars("q")
    humid["t"][:, -1] = 293.15
    humid["r"] = humid["t"].copy(data=np.full(humid["t"].shape, 0.1)).assign_attrs(units="%")
    humid["r"][:, -1] = 50.0
    humid.to_netcdf(tmp_path / "humid.nc")
    found = read_states([tmp_path / "humid.nc"])
    np.testing.assert_allclose(found.fields[:, channel_index("q1000")], 7.306e-3, rtol=2e-3)
    assert any(line.startswith("converted: q from relative humidity") for line in found.report)
    humid["r"].attrs["units"] = "kg"
    with pytest.raises(ValueError, match="r is in 'kg', but must be in '%'"):
        states_from_dataset(humid, "some file")


def test_names_of_other_centres_are_known(tmp_path):
    """CMIP names and heights in m, one axis known by its units alone; a level axis of its own for one variable."""
    base = dataset("short")
    cmip = base.drop_vars("z").assign(zg=(base.z / 9.80665).assign_attrs(units="m"))
    cmip = cmip.rename(t="ta", u="ua", v="va", q="hus", u10="uas", v10="vas", t2m="tas", msl="psl", latitude="y")
    cmip["y"].attrs["units"] = "degrees_north"
    cmip["psl"] = (cmip["psl"] / 100).assign_attrs(units="hPa")
    cmip["hus"] = cmip["hus"].rename(level="isobaric3")
    cmip.to_netcdf(tmp_path / "cmip.nc")
    states = read_states([tmp_path / "cmip.nc"])
    np.testing.assert_allclose(states.fields, reference(), rtol=1e-5)
    assert "converted: msl from hPa to Pa" in states.report
    assert any(line.startswith("converted: z from geopotential height zg") for line in states.report)
    by_standard_name = base.rename(t="field_7")
    by_standard_name["field_7"].attrs["standard_name"] = "air_temperature"
    np.testing.assert_allclose(states_from_dataset(by_standard_name, "named")[2], reference(), rtol=1e-6)


def test_packed_integers_and_files_of_other_axis_names_are_joined(tmp_path):
    base = dataset("short")
    packed = {"t": {"dtype": "i2", "scale_factor": 2e-4, "add_offset": 250.0, "_FillValue": -32768}}
    base[["t"]].rename(level="plev", time="valid_time", latitude="lat").to_netcdf(tmp_path / "t.nc", encoding=packed)
    base.drop_vars("t").to_netcdf(tmp_path / "others.nc")
    SOURCES["files"].fetch({"path": str(tmp_path)}, TIMES, tmp_path / "out" / "raw.nc")
    # packing rounds to half of the scale factor
    np.testing.assert_allclose(prepared(tmp_path / "out" / "raw.nc", GRID, None)[1], reference(), rtol=1e-6, atol=1e-4)


def test_ensemble_members_are_refused_unless_one_is_chosen(tmp_path):
    base = dataset("short")
    members = xr.concat([base, 1.001 * base], "number", combine_attrs="override").assign_coords(number=[4, 7])
    for name in VARIABLES:
        members[name].attrs = base[name].attrs
    with pytest.raises(ValueError, match=r"2 ensemble members \(number 4 to 7\)"):
        states_from_dataset(members, "some file")
    members.to_netcdf(tmp_path / "members.nc")
    chosen = read_states([tmp_path / "members.nc"], options=Options(member=7))
    np.testing.assert_allclose(chosen.fields, 1.001 * reference(), rtol=1e-6)
    assert "chosen: member 7 of 2" in chosen.report
    with pytest.raises(ValueError, match=r"no member 5; the members in number are \[4, 7\]"):
        read_states([tmp_path / "members.nc"], options=Options(member=5))
    # a file for each member
    for index in (0, 1):
        members.isel(number=index).to_netcdf(tmp_path / f"member_{index}.nc")
    both = [tmp_path / "member_0.nc", tmp_path / "member_1.nc"]
    np.testing.assert_array_equal(read_states(both, options=Options(member=7)).fields, chosen.fields)
    with pytest.raises(ValueError, match=r"several ensemble members: 4 \(u10 .*member_0\.nc\) and 7"):
        read_states(both)


def test_forecasts_are_taken_at_their_valid_times():
    base = dataset("short")
    steps = np.array([0, 6], dtype="timedelta64[h]").astype("timedelta64[ns]")
    one_run = base.rename(time="step").assign_coords(step=steps, time=STAMPS[0])
    times, _, states = states_from_dataset(one_run, "one run")
    assert times == TIMES
    np.testing.assert_allclose(states, reference(), rtol=1e-6)
    runs = one_run.drop_vars("time").expand_dims(time=STAMPS)  # the second step of the first is the first of the second
    with pytest.raises(ValueError, match="several values that are valid at the same time"):
        states_from_dataset(runs, "two runs")
    apart = runs.assign_coords(time=STAMPS[:1].repeat(2) + np.array([0, 12], dtype="timedelta64[h]"))
    assert len(states_from_dataset(apart, "two runs")[0]) == 4


@pytest.mark.parametrize("part", [{"latitude": slice(0, 4)}, {"longitude": slice(2, 9)}], ids=["hemisphere", "sector"])
def test_regional_data_are_refused(part):
    with pytest.raises(ValueError, match=r"u10 covers latitudes .* not the whole globe"):
        states_from_dataset(dataset("short").isel(part), "some file")


def test_fields_of_other_grids_and_levels_are_left_out_by_name():
    base = dataset("short")
    base["t"] = base["t"].rename(level="hybrid")
    reduced = base["u"].stack(values=("latitude", "longitude"), create_index=False)
    base["u"] = reduced.drop_vars(["latitude", "longitude"])
    base["u"].attrs["GRIB_gridType"] = "reduced_gg"
    base["msl"] = base["msl"].isel(time=0, drop=True)
    with pytest.raises(IncompleteError) as error:
        states_from_dataset(base, "some file")
    assert "fields are missing: msl, u (all levels), t (all levels); found:" in str(error.value)
    assert "left out: t of some file, because its axes time, hybrid, latitude, longitude" in str(error.value)
    assert "left out: u of some file of grid reduced_gg" in str(error.value)
    assert "left out: msl of some file, because it has no time" in str(error.value)


def test_files_on_different_grids_are_refused(tmp_path):
    base = dataset("short")
    base[list(SURFACE)].isel(longitude=slice(None, None, 2)).to_netcdf(tmp_path / "a.nc")
    base[list(UPPER_AIR)].to_netcdf(tmp_path / "b.nc")
    with pytest.raises(SourceError, match=r"b\.nc: z is on 7 x 12 points, but other fields are on 7 x 6"):
        SOURCES["files"].fetch({"path": str(tmp_path)}, TIMES, tmp_path / "out" / "raw.nc")


def test_levels_that_lack_are_interpolated_where_that_is_allowed(tmp_path):
    """A field linear in ln p is given back exactly; beyond the last level nothing is made up."""
    base = dataset("short")
    base["t"] = (200 + 10 * np.log(base.level) + 0.0 * base.t).transpose(*base.t.dims).assign_attrs(units="K")
    lacking = base.sel(level=[level for level in LEVELS if level not in (1000, 925, 600)])
    lacking.to_netcdf(tmp_path / "lacking.nc")
    with pytest.raises(IncompleteError, match=r"t600, t925, t1000.*interpolate_levels"):
        read_states([tmp_path / "lacking.nc"])
    found = read_states([tmp_path / "lacking.nc"], options=Options(interpolate_levels=True), partial=True)
    assert "interpolated: t600 in ln p between 500 and 700 hPa" in found.report
    np.testing.assert_allclose(found.fields[:, channel_index("t600")], 200 + 10 * np.log(600), rtol=1e-6)
    assert {"t925", "t1000"} <= set(found.missing) and "t600" not in found.missing
    assert np.isnan(found.fields[:, channel_index("t1000")]).all()
    settings = {"path": str(tmp_path), "interpolate_levels": True}
    with pytest.raises(SourceError) as error:
        SOURCES["files"].fetch(settings, TIMES, tmp_path / "out" / "raw.nc")
    assert "t925, t1000;" in str(error.value) and "t600" not in str(error.value)


@pytest.mark.parametrize("target", [Grid("gaussian", 16, 32), Grid("equiangular", 91, 180)], ids=["coarser", "finer"])
@pytest.mark.parametrize("first", [-179.0, 1.0])
def test_cells_between_the_poles_are_regridded(tmp_path, target, first):
    """2 degree cells half a step from pole and meridian: constants stay, a smooth field is moved nowhere."""
    latitude, longitude = np.arange(-89.0, 90.0, 2.0), first + 2.0 * np.arange(180)

    def smooth(latitude, longitude):
        north, east = np.radians(latitude)[:, None], np.radians(longitude)
        return np.cos(north) * np.cos(east - 0.3) + np.sin(north)

    cells = xr.Dataset(coords={"time": STAMPS[:1], "level": list(LEVELS), "latitude": latitude, "longitude": longitude})
    for short, (_, _, units) in VARIABLES.items():
        axes = ("time", "latitude", "longitude") if short in SURFACE else ("time", "level", "latitude", "longitude")
        shape = [cells.sizes[axis] for axis in axes]
        mean = 0.0 if short == "msl" else smooth(latitude, longitude) * VALUES[short][1]
        mean = mean + (VALUES[short][0] if short != "z" else dataset("short").z.values[:1, :, :1, :1])
        cells[short] = (axes, np.broadcast_to(mean, shape), {"units": units})
    cells.to_netcdf(tmp_path / "cells.nc")
    with pytest.raises(ValueError, match="neither a Gaussian grid nor an equiangular"):
        read_states([tmp_path / "cells.nc"])
    states = read_states([tmp_path / "cells.nc"], target)
    assert states.grid == target
    np.testing.assert_allclose(states.fields[0, channel_index("msl")], 1e5, rtol=1e-6)
    difference = states.fields[0, channel_index("t500")] - 250.0 - smooth(target.latitude, target.longitude)
    # Coarser: the mean over a cell of size H differs by H^2/24 each way from its middle, and the mean latitude by area
    # of the cap at the pole lies H/6 from where its point is. Finer: at the pole, the value of the circle half a step
    # away is taken, sin(1 degree).
    bound = np.radians(11.25) / 6 if target.nlat == 16 else np.sin(np.radians(1.0)) * 1.01
    assert np.abs(difference).max() < bound
    # a field turned by a cell of 2 degrees would differ by up to sin(2 degrees) = 0.035 near the equator
    middle = slice(target.nlat // 4, -(target.nlat // 4))
    assert np.abs(difference[middle]).max() < (np.radians(11.25) ** 2 / 8 if target.nlat == 16 else 4e-4)


@pytest.mark.parametrize("edition", [1, 2])
def test_grib_of_either_edition_and_messages_of_several_fields(tmp_path, edition):
    """Edition 2 with u and v in one message, as NCEP writes them."""
    import eccodes

    path = tmp_path / "first.grib"
    write_grib(path, dataset("short"), (*SURFACE, *UPPER_AIR))
    if edition == 2:
        pairs = {}
        with open(path, "rb") as source, open(tmp_path / "second.grib2", "wb") as target:
            while (message := eccodes.codes_grib_new_from_file(source)) is not None:
                eccodes.codes_set(message, "edition", 2)
                name, *where = (eccodes.codes_get(message, key) for key in ("shortName", "level", "dataTime"))
                if name in ("u", "v"):
                    pairs.setdefault(tuple(where), []).append(message)
                else:
                    eccodes.codes_write(message, target)
                    eccodes.codes_release(message)
            for pair in pairs.values():
                several = eccodes.codes_grib_multi_new()
                for message in pair:
                    eccodes.codes_grib_multi_append(message, 4, several)
                eccodes.codes_grib_multi_write(several, target)
                eccodes.codes_grib_multi_release(several)
        path = tmp_path / "second.grib2"
        assert path.read_bytes().count(b"GRIB") == 2 * (len(SURFACE) + 4 * len(LEVELS))
    states = read_states([path])
    assert states.times == TIMES and states.grid == GRID
    assert_same(states.fields, reference())
