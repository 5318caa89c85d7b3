"""ERA5 over ERA5T, ensemble members, fields that are there twice, NCAR's names, and points beyond the poles."""

import numpy as np
import pytest
import xarray as xr
from archive_files import GRID, STAMPS, TIMES, assert_same, dataset, reference, states_from_dataset, write_grib
from conftest import prepared
from lora_envar.archive import SOURCES
from lora_envar.archive.layout import Options
from lora_envar.archive.opening import SourceError
from lora_envar.archive.prepare import read_states
from lora_envar.fields.state import SURFACE, UPPER_AIR, VARIABLES


def with_units(changed):
    for short, (_, _, units) in VARIABLES.items():
        changed[short].attrs["units"] = units
    return changed


def other():
    """Other values of the same fields."""
    return with_units(1.001 * dataset("short"))


@pytest.mark.parametrize("versions", [[1, 5], [5, 1], ["0001", "0005"]])
def test_era5_and_era5t_are_merged_as_ecmwf_says(tmp_path, versions):
    """Where experiment 1 has values they are taken, else those of 5; the values of 5 at times of 1 are others."""
    base = dataset("short")
    final = base.where(base.time == STAMPS[0])
    preliminary = base.where(base.time == STAMPS[1], other())
    parts = {1: final, 5: preliminary}
    merged = with_units(xr.concat([parts[int(version)] for version in versions], "expver", combine_attrs="override"))
    merged = merged.assign_coords(expver=versions).transpose("time", "expver", ...)
    merged.to_netcdf(tmp_path / "cds.nc")
    found = read_states([tmp_path / "cds.nc"])
    assert found.times == TIMES
    np.testing.assert_allclose(found.fields, reference(), rtol=1e-6)
    lines = [line for line in found.report if "ERA5T" in line]
    assert len(lines) == 1 and "cds.nc has ERA5T (expver 5) at 2022-01-01T06," in lines[0]
    SOURCES["files"].fetch({"path": str(tmp_path)}, TIMES, tmp_path / "out" / "raw.nc")
    np.testing.assert_allclose(prepared(tmp_path / "out" / "raw.nc", GRID, None)[1], reference(), rtol=1e-6)


def test_era5t_of_new_files_is_mentioned(tmp_path):
    base = dataset("short").rename(time="valid_time").assign_coords(expver=("valid_time", ["0001", "0005"]))
    base.to_netcdf(tmp_path / "new.nc")
    found = read_states([tmp_path / "new.nc"])
    np.testing.assert_allclose(found.fields, reference(), rtol=1e-6)
    assert any("has ERA5T (expver 5) at 2022-01-01T06" in line for line in found.report)


def test_other_experiments_are_refused_by_name():
    merged = xr.concat([dataset("short"), other()], "expver", combine_attrs="override").assign_coords(expver=[1, 77])
    with pytest.raises(
        ValueError, match=r"some file: u10 comes from the experiments 1, 77 \(expver\), but only 1 \(ERA5\)"
    ):
        states_from_dataset(merged, "some file")


ECMWF = {"setLocalDefinition": 1, "localDefinitionNumber": 1}


def grib(path, whole, version, append=False):
    keys = {**ECMWF, "experimentVersionNumber": version, "centre": 98}
    write_grib(path, whole, (*SURFACE, *UPPER_AIR), append=append, **keys)


@pytest.mark.parametrize("order", [["0005", "0001"], ["0001", "0005"]])
def test_final_grib_fields_go_over_preliminary_ones_whatever_their_order(tmp_path, order):
    whole = {"0001": dataset("short"), "0005": other()}
    for version in order:
        grib(tmp_path / "both.grib", whole[version], version, append=True)
        grib(tmp_path / f"{version}.grib", whole[version], version)
    for paths in ([tmp_path / "both.grib"], [tmp_path / "0001.grib", tmp_path / "0005.grib"]):
        found = read_states(paths)
        assert_same(found.fields, reference())
        assert any("ERA5 (expver 1) over ERA5T (expver 5)" in line for line in found.report)


def test_preliminary_grib_fields_fill_the_times_that_lack(tmp_path):
    grib(tmp_path / "x.grib", dataset("short").isel(time=[0]), "0001")
    grib(tmp_path / "x.grib", dataset("short").isel(time=[1]), "0005", append=True)
    found = read_states([tmp_path / "x.grib"])
    assert found.times == TIMES
    assert_same(found.fields, reference())
    assert any("has ERA5T (expver 5) at 2022-01-01T06" in line for line in found.report)


def test_a_grib_field_that_is_there_twice_is_refused_unless_it_is_the_same(tmp_path):
    path = tmp_path / "x.grib"
    write_grib(path, dataset("short"), (*SURFACE, *UPPER_AIR))
    write_grib(path, dataset("short").isel(time=[1]), ["t"], append=True)
    assert_same(read_states([path]).fields, reference())
    write_grib(path, other().isel(time=[1]), ["t"], append=True)
    with pytest.raises(SourceError, match=r"x\.grib has t at isobaricInhPa 50, valid at 20220101 0600 twice, with"):
        read_states([path])


def test_members_of_different_times_are_not_mixed(tmp_path):
    base = dataset("short")
    for number in (0, 1):
        base.isel(time=[number]).assign_coords(number=number).to_netcdf(tmp_path / f"{number}.nc")
    paths = [tmp_path / "0.nc", tmp_path / "1.nc"]
    with pytest.raises(ValueError, match=r"several ensemble members: 0 \(u10 of .*0\.nc\) and 1 \(u10 of .*1\.nc\)"):
        read_states(paths)
    with pytest.raises(SourceError, match="several ensemble members"):
        SOURCES["files"].fetch({"path": str(tmp_path)}, TIMES, tmp_path / "out" / "raw.nc")
    assert read_states(paths, options=Options(member=1)).times == TIMES[1:]


def test_files_of_no_member_go_with_those_of_one(tmp_path):
    base = dataset("short")
    base[list(SURFACE)].to_netcdf(tmp_path / "surface.nc")
    base[list(UPPER_AIR)].assign_coords(number=0).to_netcdf(tmp_path / "upper.nc")
    found = read_states([tmp_path / "surface.nc", tmp_path / "upper.nc"])
    np.testing.assert_allclose(found.fields, reference(), rtol=1e-6)


def test_ncar_s_names_are_read(tmp_path):
    """ds633: a variable a file, named VAR_2T or T, with ECMWF's name in the attribute short_name, and a utc_date."""
    names = {"u10": "VAR_10U", "v10": "VAR_10V", "t2m": "VAR_2T", "msl": "MSL"}
    names |= {"z": "Z", "q": "Q", "u": "U", "v": "V", "t": "T"}
    short_names = {"u10": "10u", "v10": "10v", "t2m": "2t"}
    units = {"z": "m**2 s**-2", "u": "m s**-1", "q": "kg kg**-1"}
    paths = []
    for short, name in names.items():
        ncar = dataset("short")[[short]].rename({short: name}).assign(utc_date=("time", [2022010100, 2022010106]))
        ncar[name].attrs = {"short_name": short_names.get(short, short), "units": units.get(short, VARIABLES[short][2])}
        paths.append(tmp_path / f"e5.{name}.nc")
        ncar.to_netcdf(paths[-1], encoding={"time": {"units": "hours since 1900-01-01", "dtype": "i4"}})
    found = read_states(paths)
    assert found.times == TIMES
    np.testing.assert_allclose(found.fields, reference(), rtol=1e-6)
    # by the attribute alone
    named = dataset("short").rename(t2m="X", t="Y")
    named["X"].attrs["short_name"], named["Y"].attrs["short_name"] = "2t", "t"
    np.testing.assert_allclose(states_from_dataset(named, "some file")[2], reference(), rtol=1e-6)


@pytest.mark.parametrize("end", [0, -1])
def test_latitudes_beyond_the_poles_are_refused(end):
    base = dataset("short")
    latitude = base.latitude.values.copy()
    latitude[end] *= 90.05 / 90
    with pytest.raises(ValueError, match=rf"some file: u10 has latitudes beyond the poles \({latitude[end]:g}\)"):
        states_from_dataset(base.assign_coords(latitude=latitude), "some file")
    rounded = base.assign_coords(latitude=base.latitude.astype("f4") * np.float32(1 + 1e-7))
    assert states_from_dataset(rounded, "some file")[1] == GRID


def test_grib_fields_with_and_without_an_experiment_go_together(tmp_path):
    grib(tmp_path / "x.grib", dataset("short").isel(time=[0]), "0001")
    write_grib(tmp_path / "x.grib", dataset("short").isel(time=[1]), (*SURFACE, *UPPER_AIR), append=True)
    assert_same(read_states([tmp_path / "x.grib"]).fields, reference())


def test_levels_that_are_not_read_may_be_there_twice(tmp_path):
    """NCEP's files have surfaces of potential vorticity +2 and -2, whose levels ecCodes does not tell apart."""
    path = tmp_path / "x.grib"
    write_grib(path, dataset("short"), (*SURFACE, *UPPER_AIR))
    for whole in (dataset("short"), other()):
        surface = whole.msl.to_dataset(name="msl")
        write_grib(path, surface, ["msl"], append=True, indicatorOfParameter=130, indicatorOfTypeOfLevel=117, level=2)
    assert_same(read_states([path]).fields, reference())


def test_a_member_that_a_file_does_not_call_a_coordinate_is_one(tmp_path):
    base = dataset("short")
    for number in (0, 1):
        base.isel(time=[number]).assign(realization=((), number)).to_netcdf(tmp_path / f"{number}.nc")
    with pytest.raises(ValueError, match=r"several ensemble members: 0 .* and 1"):
        read_states([tmp_path / "0.nc", tmp_path / "1.nc"])
