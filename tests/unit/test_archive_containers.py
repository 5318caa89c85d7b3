"""What a file is, its content says, whatever its name; what cannot be read is named as what it is."""

import bz2
import gzip
import io
import lzma
import subprocess
import sys
import tarfile
import zipfile
from datetime import UTC, datetime

import numpy as np
import pytest
import torch
from archive_files import GRID, STAMPS, TIMES, assert_same, dataset, reference, write_grib
from conftest import ROOT, prepared
from lora_envar.archive import SOURCES
from lora_envar.archive.folder import sorted_out
from lora_envar.archive.opening import SourceError, open_datasets
from lora_envar.archive.prepare import read_states
from lora_envar.example_world.packed import read_coefficients, write_coefficients
from lora_envar.fields.state import SURFACE, UPPER_AIR
from lora_envar.files.kinds import TEXT, kind_of
from lora_envar.observations.reports import Orography


def tarred(content):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo("in.nc")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def zipped(content):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("in.nc", content)
    return buffer.getvalue()


CONTAINERS = {
    "zip archive": zipped,
    "compressed by gzip": gzip.compress,
    "compressed by bzip2": bz2.compress,
    "compressed by xz": lzma.compress,
    "a tar archive": tarred,
}


def test_grib_and_netcdf_are_read_whatever_they_are_named(tmp_path):
    write_grib(tmp_path / "gfs.t00z.pgrb2.0p25.f000", dataset("short"), (*SURFACE, *UPPER_AIR))
    dataset("short").to_netcdf(tmp_path / "wrong.grib")
    dataset("short").to_netcdf(tmp_path / "no_suffix", format="NETCDF3_64BIT")
    for name in ("gfs.t00z.pgrb2.0p25.f000", "wrong.grib", "no_suffix"):
        found = read_states([tmp_path / name])
        assert found.times == TIMES
        assert_same(found.fields, reference())


def test_a_heading_before_the_first_message_is_passed_over(tmp_path):
    write_grib(tmp_path / "plain", dataset("short"), (*SURFACE, *UPPER_AIR))
    heading = b"\x01\r\r\n001\r\r\nHTXA50 KWBC 010000\r\r\n"
    (tmp_path / "headed").write_bytes(heading + (tmp_path / "plain").read_bytes())
    assert_same(read_states([tmp_path / "headed"]).fields, reference())
    (tmp_path / "README").write_text("GRIB files of NCEP lie here")
    assert kind_of(tmp_path / "README")[0] == TEXT


def test_a_folder_of_files_by_ncep_s_names(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    write_grib(folder / "gfs.t00z.pgrb2.0p25.f000", dataset("short").isel(time=[0]), (*SURFACE, *UPPER_AIR))
    write_grib(folder / "gfs.t06z.pgrb2.0p25.anl", dataset("short").isel(time=[1]), (*SURFACE, *UPPER_AIR))
    SOURCES["files"].fetch({"path": str(folder)}, TIMES, tmp_path / "raw.nc")
    times, states = prepared(tmp_path / "raw.nc", GRID, None)
    assert times == TIMES
    assert_same(states, reference())


@pytest.mark.parametrize("kind", CONTAINERS)
def test_containers_are_named_and_it_is_said_what_to_do(tmp_path, kind):
    dataset("short").to_netcdf(tmp_path / "whole.nc")
    folder = tmp_path / "in"
    folder.mkdir()
    packed = folder / "era5.nc"  # the name lies
    packed.write_bytes(CONTAINERS[kind]((tmp_path / "whole.nc").read_bytes()))
    with pytest.raises(SourceError, match=rf"era5\.nc is .*{kind}; unpack it"):
        read_states([packed])
    with pytest.raises(SourceError, match=rf"has no GRIB or netCDF file .*left out: era5\.nc, .*{kind}; unpack"):
        SOURCES["files"].fetch({"path": str(folder)}, TIMES, tmp_path / "raw.nc")


def test_other_files_of_a_folder_are_left_out_and_said_to_be(tmp_path, capsys):
    folder = tmp_path / "in"
    (folder / "older").mkdir(parents=True)
    dataset("short").to_netcdf(folder / "b.nc")
    dataset("short").isel(time=[0]).to_netcdf(folder / "a.data")
    (folder / "README.md").write_text("ERA5")
    (folder / ".hidden.nc").write_text("half a download")
    (folder / "empty.grib").write_bytes(b"")
    (folder / "error.nc").write_text("\n<!DOCTYPE html><html>404")
    (folder / "c.zip").write_bytes(zipped(b"something"))
    settings = {"path": str(folder)}
    assert sorted_out(settings)[0] == [str(folder / "a.data"), str(folder / "b.nc")]
    SOURCES["files"].fetch(settings, TIMES, tmp_path / "raw.nc")
    said = capsys.readouterr().out
    for line in (
        "left out: README.md, text; give a file in GRIB (1 or 2) or netCDF",
        "left out: c.zip, a zip archive; unpack it",
        "left out: empty.grib, empty",
        "left out: error.nc, a web page",
        "left out: older, a folder; give the files in it",
    ):
        assert line in said
    assert "hidden" not in said


def test_a_folder_that_is_not_there_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    for name, words in (("none", "does not exist"), ("file", "is a file, not a folder")):
        with pytest.raises(ValueError, match=rf"{name} {words} \(archive\.path\)"):
            sorted_out({"path": str(tmp_path / name)})
        with pytest.raises(SourceError, match=rf"{name} {words}"):
            SOURCES["files"].fetch({"path": str(tmp_path / name)}, TIMES, tmp_path / "raw.nc")


def test_the_list_of_files_needs_neither_torch_nor_xarray():
    """It is made by every start of Snakemake."""
    code = "import sys, lora_envar.archive.folder; print(sorted({'torch', 'xarray', 'numpy'} & set(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(ROOT / "workflow")}
    )
    assert run.stdout.strip() == "[]", run.stderr


def test_orography_is_read_by_its_content_too(tmp_path):
    """As GRIB too, geopotential of the surface, and named as what it is where it cannot be read."""
    height = dataset("short").msl.isel(time=[0]) * 0.0 + 500.0 * 9.80665
    write_grib(tmp_path / "surface.f000", height.to_dataset(name="msl"), ["msl"], indicatorOfParameter=129)
    read = Orography.read(tmp_path / "surface.f000")
    assert read.grid == GRID
    np.testing.assert_allclose(read.height, 500.0, rtol=1e-6)
    assert not list(tmp_path.glob("*.idx"))
    (tmp_path / "orography.nc").write_bytes(gzip.compress(b"something"))
    with pytest.raises(ValueError, match=r"orography\.nc is .*compressed by gzip; unpack it"):
        Orography.read(tmp_path / "orography.nc")


def test_packed_archives_are_named_as_what_they_are(tmp_path):
    dataset("short").to_netcdf(tmp_path / "states.nc")
    (tmp_path / "packed.nc").write_bytes(gzip.compress((tmp_path / "states.nc").read_bytes()))
    for name, words in (
        ("none.nc", r"none\.nc cannot be opened"),
        ("packed.nc", r"packed\.nc is compressed by gzip, but must be a packed archive in netCDF; unpack it"),
        ("states.nc", r"states\.nc is damaged, or is not a packed archive"),
    ):
        with pytest.raises(ValueError, match=words):
            read_coefficients(tmp_path / name)


def test_a_packed_archive_has_whole_hours_alone(tmp_path):
    late = STAMPS + np.timedelta64(15, "m")
    with pytest.raises(ValueError, match=r"x\.nc has fields valid at 2022-01-01T00:15"):
        write_coefficients(tmp_path / "x.nc", late, torch.zeros(2, 69, 4))
    settings = {"path": str(ROOT / "resources" / "example" / "archive.nc")}
    with pytest.raises(SourceError, match=r"has no state valid at 2009-03-01T06:15; it has"):
        SOURCES["example"].fetch(settings, [datetime(2009, 3, 1, 6, 15, tzinfo=UTC)], tmp_path / "raw.nc")


def test_a_file_that_cannot_be_opened_is_named(tmp_path):
    (tmp_path / "gone.nc").symlink_to(tmp_path / "nowhere.nc")
    with pytest.raises(SourceError, match=r"gone\.nc cannot be opened \(No such file"):
        SOURCES["files"].fetch({"path": str(tmp_path)}, TIMES, tmp_path / "raw.nc")


def test_only_fields_of_the_state_are_opened_of_a_grib_file(tmp_path):
    """NCEP's files hold some 700 others; to index these for every variable again took a minute a file."""
    path = tmp_path / "x.f000"
    write_grib(path, dataset("short"), (*SURFACE, *UPPER_AIR))
    write_grib(path, dataset("short"), ["msl"], append=True, indicatorOfParameter=34)  # temperature of the sea
    write_grib(path, dataset("short"), ["t"], append=True, indicatorOfParameter=155)  # divergence
    opened = [str(name) for part in open_datasets(path) for name in part.data_vars]
    assert sorted(opened) == sorted([*SURFACE, *UPPER_AIR])
    assert_same(read_states([path]).fields, reference())
