"""Sources behind HTTP, in their exact layouts: only what is wanted is read, and broken transfers are mended."""

import json
import re
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import xarray as xr
from archive_files import GRIB_GRID, GRID, STAMPS, TIMES, assert_same, dataset, reference
from conftest import prepared
from lora_envar.archive import SOURCES, remote_files
from lora_envar.archive.opening import SourceError
from lora_envar.archive.sources import gfs, ncar
from lora_envar.fields.constants import GRAVITY
from lora_envar.fields.state import LEVELS, SURFACE, UPPER_AIR

#: levels of ERA5 beside those of the state
OTHER_LEVELS = (10, 70, 225, 775, 975)


class Storage(BaseHTTPRequestHandler):
    """A folder as object storage has it: byte ranges, and nothing else; it can be made to break off."""

    def _answer(self, with_body):
        server = self.server
        path = server.folder / self.path.lstrip("/")
        server.asked.append(self.path)
        if not path.is_file():
            self.send_error(404)
            return
        content = path.read_bytes()
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        first, last = 0, len(content) - 1
        if wanted:
            first = int(wanted[1])
            last = min(last, int(wanted[2])) if wanted[2] else last
        part = content[first : last + 1]
        self.send_response(206 if wanted else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(part)))
        if wanted:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        self.end_headers()
        if not with_body:
            return
        server.sent += len(part)
        if server.failures and len(part) > 100:
            server.failures -= 1
            part = part[: len(part) // 2]
            self.close_connection = True
        self.wfile.write(part)

    def do_GET(self):
        self._answer(True)

    def do_HEAD(self):
        self._answer(False)

    def log_message(self, *_):
        return


@pytest.fixture
def storage(tmp_path, monkeypatch):
    """A server of a folder; pauses between attempts are short."""
    monkeypatch.setattr(remote_files.clock, "sleep", lambda seconds: None)
    (tmp_path / "served").mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), Storage) as server:
        server.folder, server.failures, server.sent, server.asked = tmp_path / "served", 0, 0, []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        server.url = f"http://127.0.0.1:{server.server_port}"
        yield server
        server.shutdown()


def fetched(source, storage, tmp_path, times=TIMES):
    SOURCES[source].fetch({"path": storage.url}, times, tmp_path / "out" / "raw.nc")
    found, states = prepared(tmp_path / "out" / "raw.nc", GRID, None)
    assert found == times
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["raw.nc"], "nothing is left behind"
    return states


# NSF NCAR's ERA5


NAMES = {"u10": "VAR_10U", "v10": "VAR_10V", "t2m": "VAR_2T", "msl": "MSL"}


def write_ncar(folder):
    """Two days, hourly, all variables: those of the state at the times of the tests, others elsewhere."""
    whole = dataset("short")
    for short in (*SURFACE, *UPPER_AIR):
        field = whole[short]
        hours = np.datetime64("2022-01-01T00", "ns") + np.timedelta64(1, "h") * np.arange(24)
        field = field.reindex(time=hours, method="nearest")
        if short in UPPER_AIR:
            field = field.reindex(level=sorted((*LEVELS, *OTHER_LEVELS)), method="nearest")
            field = field.assign_coords(level=field.level.astype("f8")).astype("f4")
            field.level.attrs = {"units": "hPa"}
        field = field.assign_coords(utc_date=("time", np.arange(24, dtype="i4"))).astype("f4")
        field.attrs = {"units": {"z": "m**2 s**-2", "q": "kg kg**-1", "msl": "Pa"}.get(short, whole[short].units)}
        path = folder / ncar.file_of(short, datetime(2022, 1, 1, tzinfo=UTC))
        path.parent.mkdir(parents=True, exist_ok=True)
        name = NAMES.get(short, short.upper())
        chunks = (1, *field.shape[1:])
        encoding = {name: {"zlib": True, "chunksizes": chunks}, "time": {"units": "hours since 1900-01-01 00:00:00"}}
        field.rename(name).drop_vars("utc_date").to_dataset().assign(utc_date=field.utc_date).to_netcdf(
            path, encoding=encoding
        )


def test_names_of_ncar_s_files_are_those_of_its_index():
    day = datetime(2020, 2, 15, tzinfo=UTC)
    assert ncar.file_of("u", day) == "e5.oper.an.pl/202002/e5.oper.an.pl.128_131_u.ll025uv.2020021500_2020021523.nc"
    assert ncar.file_of("z", day) == "e5.oper.an.pl/202002/e5.oper.an.pl.128_129_z.ll025sc.2020021500_2020021523.nc"
    assert (
        ncar.file_of("u10", day) == "e5.oper.an.sfc/202002/e5.oper.an.sfc.128_165_10u.ll025sc.2020020100_2020022923.nc"
    )


def test_ncar_s_files_are_read_in_part(storage, tmp_path):
    write_ncar(storage.folder)
    assert_same(fetched("ncar", storage, tmp_path), reference(STAMPS))


def test_a_broken_transfer_is_taken_up_again(storage, tmp_path):
    write_ncar(storage.folder)
    storage.failures = 3
    assert_same(fetched("ncar", storage, tmp_path), reference(STAMPS))
    assert storage.failures == 0


def test_what_has_arrived_is_not_asked_for_again(storage, tmp_path):
    write_ncar(storage.folder)
    last = storage.folder / ncar.file_of("t", TIMES[0])
    last.rename(last.with_suffix(".away"))
    with pytest.raises(SourceError, match=r"NSF NCAR's ERA5: http.*128_130_t.*does not exist; check archive.start"):
        fetched("ncar", storage, tmp_path)
    assert not (tmp_path / "out" / "raw.nc").exists()
    last.with_suffix(".away").rename(last)
    storage.asked.clear()
    assert_same(fetched("ncar", storage, tmp_path), reference(STAMPS))
    assert {path for path in storage.asked if "128_130_t" not in path} == set(), "all others had arrived"


def test_a_time_that_a_file_lacks_is_named(storage, tmp_path):
    write_ncar(storage.folder)
    path = storage.folder / ncar.file_of("q", TIMES[0])
    with xr.open_dataset(path) as held:
        short = held.isel(time=slice(0, 4)).load()
    short.to_netcdf(path)
    with pytest.raises(SourceError, match=r"128_133_q.*does not have all .*time"):
        fetched("ncar", storage, tmp_path)


@pytest.mark.parametrize("source", ["ncar", "gfs"])
def test_a_service_that_cannot_be_reached_is_named(source, tmp_path, monkeypatch):
    monkeypatch.setattr(remote_files.clock, "sleep", lambda seconds: None)
    with pytest.raises(SourceError, match=r"could not be downloaded .* archive\.source: example"):
        SOURCES[source].fetch({"path": "http://127.0.0.1:9"}, TIMES, tmp_path / "raw.nc")
    assert not (tmp_path / "raw.nc").exists()


# GRIB 2 with an index


def grib2(short, values, level, date, hour):
    """A message of GRIB 2 on `GRID`."""
    import eccodes

    handle = eccodes.codes_grib_new_from_samples("regular_ll_pl_grib2")
    keys = {
        **GRIB_GRID,
        "dataDate": date,
        "dataTime": 100 * hour,
        "bitsPerValue": 24,
        "shortName": short,
    }
    for key, value in keys.items():
        eccodes.codes_set(handle, key, value)
    if short == "prmsl":
        eccodes.codes_set(handle, "typeOfLevel", "meanSea")
    if level:
        eccodes.codes_set(handle, "typeOfLevel", "isobaricInhPa")
        eccodes.codes_set(handle, "level", level)
    eccodes.codes_set_values(handle, values.astype("f8").ravel())
    message = eccodes.codes_get_message(handle)
    eccodes.codes_release(handle)
    return message


def messages(time, mean_sea_level="msl"):
    """Short name, level and message of all fields of a time, heights in place of geopotential."""
    whole = dataset("short").sel(time=time.replace(tzinfo=None))
    names = {"u10": "10u", "v10": "10v", "t2m": "2t", "msl": mean_sea_level, "z": "gh"}
    for short in (*SURFACE, *UPPER_AIR):
        for level in LEVELS if short in UPPER_AIR else (0,):
            field = whole[short].sel(level=level) if level else whole[short]
            values = field.values / GRAVITY if short == "z" else field.values
            name = names.get(short, short)
            yield name, level, grib2(name, values, level, int(f"{time:%Y%m%d}"), time.hour)


def write_gfs(folder):
    """Files and indices as on NOAA's storage, each with messages that are not wanted."""
    words = {"10u": "UGRD:10 m above ground", "10v": "VGRD:10 m above ground", "2t": "TMP:2 m above ground"}
    words |= {"prmsl": "PRMSL:mean sea level"}
    names = {"gh": "HGT", "t": "TMP", "q": "SPFH", "u": "UGRD", "v": "VGRD"}
    for time in TIMES:
        path = folder / f"gfs.{time:%Y%m%d}/{time:%H}/atmos/gfs.t{time:%H}z.pgrb2.0p25.f000"
        path.parent.mkdir(parents=True, exist_ok=True)
        content, lines = b"", []
        unwanted = grib2("t", np.full(GRID.shape, 1.0), 975, int(f"{time:%Y%m%d}"), time.hour)
        for name, level, message in [("t", 975, unwanted), *messages(time, "prmsl"), ("t", 975, unwanted)]:
            what = f"{names[name]}:{level} mb" if level else words[name]
            lines.append(f"{len(lines) + 1}:{len(content)}:d={time:%Y%m%d%H}:{what}:anl:")
            content += message
        path.write_bytes(content)
        path.with_name(f"{path.name}.idx").write_text("\n".join(lines) + "\n")


def write_ecmwf(folder):
    """Files and indices as ECMWF's open data has them: at 0 and 12 UTC of stream oper, else of scda."""
    for time in TIMES:
        stream = "oper" if time.hour % 12 == 0 else "scda"
        path = folder / f"{time:%Y%m%d}/{time:%H}z/ifs/0p25/{stream}/{time:%Y%m%d%H}0000-0h-{stream}-fc.grib2"
        path.parent.mkdir(parents=True, exist_ok=True)
        content, lines = b"", []
        for name, level, message in messages(time):
            entry = {"domain": "g", "date": f"{time:%Y%m%d}", "time": f"{time:%H}00", "expver": "0001", "class": "od"}
            entry |= {"type": "fc", "stream": stream, "step": "0", "levtype": "pl" if level else "sfc", "param": name}
            entry |= {"levelist": str(level)} if level else {}
            lines.append(json.dumps(entry | {"_offset": len(content), "_length": len(message)}))
            content += message
        path.write_bytes(content)
        path.with_suffix(".index").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(("source", "write"), [("gfs", write_gfs), ("ecmwf", write_ecmwf)])
def test_analyses_are_read_by_the_index_of_their_messages(storage, tmp_path, source, write):
    write(storage.folder)
    states = fetched(source, storage, tmp_path)
    # heights are converted, and packed with 24 bits of the range of a field
    assert_same(states, reference(STAMPS), 1e-5)


def test_a_broken_message_of_the_gfs_is_asked_for_again(storage, tmp_path):
    write_gfs(storage.folder)
    storage.failures = 3
    assert_same(fetched("gfs", storage, tmp_path), reference(STAMPS), 1e-5)


def test_a_broken_answer_of_ecmwf_is_asked_for_again(storage, tmp_path):
    write_ecmwf(storage.folder)
    storage.failures = 1
    assert_same(fetched("ecmwf", storage, tmp_path), reference(STAMPS), 1e-5)


@pytest.mark.parametrize(("source", "write"), [("gfs", write_gfs), ("ecmwf", write_ecmwf)])
def test_a_cycle_that_is_not_there_is_named(storage, tmp_path, source, write):
    write(storage.folder)
    absent = [datetime(2022, 1, 2, 0, tzinfo=UTC)]
    with pytest.raises(SourceError, match=r"20220102|2022-01-02"):
        fetched(source, storage, tmp_path, absent)


def test_a_level_that_a_file_lacks_is_named(storage, tmp_path):
    write_gfs(storage.folder)
    index = next(storage.folder.rglob("*t06z*.idx"))
    index.write_text(index.read_text().replace("SPFH:700 mb", "SPFH:775 mb"))
    with pytest.raises(SourceError, match=r"missing: q700 at 2022-01-01T06"):
        fetched("gfs", storage, tmp_path)


@pytest.mark.parametrize("source", ["gfs", "ecmwf"])
def test_analyses_are_every_six_hours(source):
    SOURCES[source].check({"step_hours": 6})
    with pytest.raises(ValueError, match="step_hours: 3 h"):
        SOURCES[source].check({"step_hours": 3})


def test_only_wanted_messages_are_asked_for(storage, tmp_path):
    write_gfs(storage.folder)
    fetched("gfs", storage, tmp_path)
    files = [path for path in storage.asked if not path.endswith(".idx")]
    assert len(files) == len(TIMES) * len(gfs.MESSAGES)


def test_fields_of_another_time_are_named_and_not_taken_again(storage, tmp_path):
    write_gfs(storage.folder)
    other = storage.folder / "gfs.20220102/00/atmos/gfs.t00z.pgrb2.0p25.f000"
    other.parent.mkdir(parents=True)
    for ending in ("", ".idx"):
        (other.parent / f"{other.name}{ending}").write_bytes(
            (storage.folder / f"gfs.20220101/00/atmos/gfs.t00z.pgrb2.0p25.f000{ending}").read_bytes()
        )
    with pytest.raises(SourceError, match="missing: everything at 2022-01-02T00"):
        fetched("gfs", storage, tmp_path, [datetime(2022, 1, 2, 0, tzinfo=UTC)])
    assert list((tmp_path / "out").iterdir()) == []
