"""Sources of the archive, against local files and stand-ins for the services."""

import sys
import traceback
import types
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from archive_files import GRID, TIMES, assert_same, dataset, reference, write_grib
from conftest import prepared
from lora_envar.archive import SOURCES
from lora_envar.archive.opening import SourceError
from lora_envar.fields.state import LEVELS, SURFACE, UPPER_AIR, channel_index
from lora_envar.files.state_file import StateFile


def test_files_joins_what_a_folder_holds(tmp_path):
    whole = dataset("short")
    whole[list(SURFACE)].to_netcdf(tmp_path / "surface.nc")
    whole[list(UPPER_AIR)].isel(time=[0]).to_netcdf(tmp_path / "upper_00.nc")
    whole[list(UPPER_AIR)].isel(time=[1]).to_netcdf(tmp_path / "upper_06.nc")
    SOURCES["files"].fetch({"path": str(tmp_path)}, TIMES, tmp_path / "out" / "raw.nc")
    times, states = prepared(tmp_path / "out" / "raw.nc", GRID, None)
    assert times == TIMES
    np.testing.assert_allclose(states, reference(), rtol=1e-6)


def test_files_refuses_empty_folders_and_damaged_files_by_name(tmp_path):
    with pytest.raises(SourceError, match=r"archive\.path"):
        SOURCES["files"].fetch({"path": str(tmp_path)}, TIMES, tmp_path / "raw")
    (tmp_path / "broken.nc").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(50))
    with pytest.raises(SourceError, match=r"broken\.nc"):
        SOURCES["files"].fetch({"path": str(tmp_path)}, TIMES, tmp_path / "raw")
    (tmp_path / "broken.nc").unlink()
    (tmp_path / "broken.grib").write_bytes(b"GRIB" + bytes(50))
    with pytest.raises(SourceError, match=r"broken\.grib"):
        SOURCES["files"].fetch({"path": str(tmp_path)}, TIMES, tmp_path / "raw")


def test_arco_reads_a_zarr_store_and_names_an_unreachable_one(tmp_path):
    dataset().to_zarr(tmp_path / "store.zarr")
    SOURCES["arco"].fetch({"path": str(tmp_path / "store.zarr")}, TIMES[1:], tmp_path / "raw.nc")
    times, states = prepared(tmp_path / "raw.nc", GRID, None)
    assert times == TIMES[1:]
    np.testing.assert_allclose(states, reference()[1:], rtol=1e-6)
    with pytest.raises(SourceError, match="ARCO-ERA5"):
        SOURCES["arco"].fetch({"path": str(tmp_path / "none.zarr")}, TIMES, tmp_path / "none.nc")
    assert not (tmp_path / "none.nc").exists()


def test_arco_reads_no_chunk_of_another_time(tmp_path):
    """The chunks of the other time are damaged, so that reading them would fail."""
    base = dataset()
    base.to_zarr(tmp_path / "store.zarr", encoding={n: {"chunks": (1, *f.shape[1:])} for n, f in base.items()})
    for name in base.data_vars:
        chunks = [path for path in (tmp_path / "store.zarr" / name / "c" / "0").rglob("*") if path.is_file()]
        assert chunks
        for chunk in chunks:
            chunk.write_bytes(b"damaged")
    SOURCES["arco"].fetch({"path": str(tmp_path / "store.zarr")}, TIMES[1:], tmp_path / "raw.nc")
    np.testing.assert_allclose(prepared(tmp_path / "raw.nc", GRID, None)[1], reference()[1:], rtol=1e-6)
    with pytest.raises(SourceError, match="ARCO-ERA5"):
        SOURCES["arco"].fetch({"path": str(tmp_path / "store.zarr")}, TIMES, tmp_path / "both.nc")
    assert not (tmp_path / "both.nc").exists()


class FakeClient:
    """Stands in for cdsapi.Client: fails as the service does, then writes GRIB of the wanted fields."""

    failures = 0
    error = "the service is busy"
    damage = None
    requests: ClassVar[list] = []

    def __init__(self, **_):
        pass

    def retrieve(self, name, request, target):
        self.requests.append((name, request))
        if FakeClient.failures:
            FakeClient.failures -= 1
            raise ConnectionError(self.error)
        write_grib(target, dataset("short"), SURFACE if "single" in name else UPPER_AIR)
        if self.damage:
            Path(target).write_bytes(self.damage(Path(target).read_bytes()))


@pytest.fixture
def cds(monkeypatch):
    monkeypatch.setitem(sys.modules, "cdsapi", types.SimpleNamespace(Client=FakeClient))
    monkeypatch.setattr("lora_envar.archive.climate_data_store.clock.sleep", lambda seconds: None)
    FakeClient.failures, FakeClient.requests = 0, []
    return FakeClient


def test_cds_tries_again_checks_what_arrives_and_joins_it(cds, tmp_path):
    FakeClient.failures = 2
    SOURCES["cds"].fetch({}, TIMES, tmp_path / "raw.nc")
    assert len(FakeClient.requests) == 4, "two failures and two successes"
    assert FakeClient.requests[-1][1]["pressure_level"] == [str(level) for level in LEVELS]
    times, states = prepared(tmp_path / "raw.nc", GRID, None)
    assert times == TIMES
    assert_same(states, reference())
    assert [path.name for path in tmp_path.iterdir()] == ["raw.nc"]


def test_cds_gives_up_with_one_line_and_goes_on_where_it_stopped(cds, tmp_path):
    FakeClient.failures = 10**6
    with pytest.raises(SourceError, match="the service is busy"):
        SOURCES["cds"].fetch({}, TIMES, tmp_path / "raw.nc")
    assert not (tmp_path / "raw.nc").exists()
    FakeClient.failures, FakeClient.requests = 0, []
    SOURCES["cds"].fetch({}, TIMES, tmp_path / "raw.nc")
    assert len(FakeClient.requests) == 2
    # what has arrived is not asked for again
    FakeClient.requests = []
    partial = tmp_path / ".second.nc.requests"
    partial.mkdir()
    whole = dataset("short")
    write_grib(partial / "20220101-00-06-reanalysis-era5-single-levels.grib", whole, SURFACE)
    SOURCES["cds"].fetch({}, TIMES, tmp_path / "second.nc")
    assert [name for name, _ in FakeClient.requests] == ["reanalysis-era5-pressure-levels"]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda whole: whole[: len(whole) // 2 + 5], "not a complete GRIB file"),
        (lambda whole: whole[: whole.rindex(b"GRIB")], "fields that were requested"),
        (lambda whole: b"", "not a complete GRIB file"),
        (lambda whole: b"<html>", "not a complete GRIB file"),
    ],
    ids=["cut", "one field short", "empty", "a web page"],
)
def test_cds_never_takes_a_part_for_the_whole(cds, tmp_path, monkeypatch, damage, reason):
    """Not even where it ends with a whole message: then fields are counted."""
    monkeypatch.setattr(cds, "damage", staticmethod(damage))
    with pytest.raises(SourceError, match=reason):
        SOURCES["cds"].fetch({}, TIMES, tmp_path / "raw.nc")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("where", ["settings", "environment"])
def test_cds_never_shows_the_key(cds, tmp_path, monkeypatch, capsys, where):
    key = "12345:0123abcd-4567"
    monkeypatch.setattr(cds, "failures", 10**6)
    monkeypatch.setattr(cds, "error", f"401 for user 12345 with {key} at https://cds, token 0123abcd-4567")
    if where == "environment":
        monkeypatch.setenv("CDSAPI_KEY", key)
    with pytest.raises(SourceError) as error:
        SOURCES["cds"].fetch({"key": key} if where == "settings" else {}, TIMES, tmp_path / "raw.nc")
    shown = "".join(traceback.format_exception(error.value)) + capsys.readouterr().out
    assert "401 for user ***" in shown
    assert "0123abcd" not in shown and "12345" not in shown


def test_cds_never_shows_the_key_where_no_client_can_be_made(tmp_path, monkeypatch):
    def refuse(**settings):
        raise Exception(f"bad key {settings['key']}")

    monkeypatch.setitem(sys.modules, "cdsapi", types.SimpleNamespace(Client=refuse))
    key = "-".join(["some", "secret"])  # a traceback shows this line too
    with pytest.raises(SourceError, match=r"bad key \*\*\*") as error:
        SOURCES["cds"].fetch({"key": key}, TIMES, tmp_path / "raw.nc")
    assert key not in "".join(traceback.format_exception(error.value))


def test_example_is_unpacked_and_its_limits_are_named(tmp_path):
    from conftest import ROOT

    settings = {"path": str(ROOT / "resources" / "example" / "archive.nc")}
    wanted = [datetime(2009, 3, 1, tzinfo=UTC), datetime(2009, 5, 21, tzinfo=UTC)]
    SOURCES["example"].fetch(settings, wanted, tmp_path / "raw.nc")
    file = StateFile(tmp_path / "raw.nc")
    assert file.times == wanted
    t2m = file.read(wanted[0])[channel_index("t2m")]
    assert 200 < t2m.min() < t2m.max() < 330
    with pytest.raises(SourceError, match="2009-05-21T06"):
        SOURCES["example"].fetch(settings, [wanted[1] + timedelta(hours=6)], tmp_path / "none.nc")
