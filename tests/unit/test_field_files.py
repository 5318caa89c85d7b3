"""Files of observations from the field: what is odd in them costs no data, what is wrong in them is named."""

import bz2
import gzip
import tarfile
import zipfile
from datetime import timedelta

import netCDF4
import numpy as np
import pytest
from conftest import ROOT
from lora_envar.example_world.prepbufr_writer import write_prepbufr
from lora_envar.fields.timeline import from_hours, hours_since_1970, name, parse
from lora_envar.observations.names import printable_names
from lora_envar.observations.prepbufr import VARIABLES, PrepBufrError, read_prepbufr
from lora_envar.observations.quality import QualitySettings, select
from lora_envar.observations.reports import Decoding, at_times, outside_of_windows
from lora_envar.observations.reports import decode as decode_with
from lora_envar.observations.table import CODES, REASONS, read_observations, write_observations
from prepbufr_files import CYCLE, T, messages, table

ERRORS = ROOT / "resources" / "observation_errors.csv"
DECODING = Decoding(ERRORS, categories=["ADPUPA", "ADPSFC", "AIRCFT"])


def decode(path, cycle=None):
    return decode_with(path, DECODING, cycle=cycle)


@pytest.fixture
def file(tmp_path):
    write_prepbufr(tmp_path / "good.prepbufr", CYCLE, table([{"station": b"A"}, {"station": b"B"}]))
    return tmp_path / "good.prepbufr"


# --- names of stations ------------------------------------------------------------------------------------------------


def test_a_name_that_is_not_ascii_costs_no_data(tmp_path):
    write_prepbufr(
        tmp_path / "file", CYCLE, table([{"station": b"K\xd6LN"}, {"station": b"A\x00B"}, {"station": b"C"}])
    )
    found = decode(tmp_path / "file")
    assert found.station.tolist() == [b"K?LN", b"A?B", b"C"]
    write_observations(tmp_path / "table.nc", found)
    assert read_observations(tmp_path / "table.nc").station.tolist() == [b"K?LN", b"A?B", b"C"]


def test_names_are_made_printable_wherever_they_come_from(tmp_path, file):
    assert printable_names(np.array([b"\xff\xfeX", b"  A ", b"", b"12345678"], "S8")).tolist() == [
        b"??X",
        b"  A",
        b"",
        b"12345678",
    ]
    found = decode(file)
    foreign = found.with_columns(station=np.array([b"\xe9"] * len(found), "S8"))
    write_observations(tmp_path / "table.nc", foreign)
    assert set(read_observations(tmp_path / "table.nc").station.tolist()) == {b"?"}


def test_a_blacklist_names_stations_as_reports_do(tmp_path):
    write_prepbufr(tmp_path / "file", CYCLE, table([{"station": b"K\xd6LN"}, {"station": b"12345678"}]))
    found = decode(tmp_path / "file")
    chosen = select(found, QualitySettings(withheld=0.0, blacklist=("KÖLN",)))
    assert chosen.rejection.tolist() == [REASONS["blacklist"], 0]
    with pytest.raises(ValueError, match="at most eight characters; 123456789"):
        select(found, QualitySettings(withheld=0.0, blacklist=("123456789",)))


# --- cycles and times -------------------------------------------------------------------------------------------------


def test_a_file_of_another_cycle_is_refused_by_name(file):
    assert len(decode(file, cycle=CYCLE)) == 2
    with pytest.raises(PrepBufrError, match="2022-08-24 06, but 2022-08-24 12 is needed") as raised:
        decode(file, cycle=CYCLE + timedelta(hours=6))
    assert str(file) in str(raised.value)


def test_minutes_of_a_cycle_are_kept(tmp_path):
    odd = CYCLE + timedelta(minutes=15)
    write_prepbufr(tmp_path / "file", odd, table([{"time_offset": 0.5}]))
    found = decode(tmp_path / "file")
    assert from_hours(found.time[0]) == CYCLE
    assert found.time_offset == pytest.approx([0.75]), "06:15 and half an hour are 06:45"
    with pytest.raises(PrepBufrError, match="2022-08-24 06:15, but 2022-08-24 06 is needed"):
        read_prepbufr(tmp_path / "file", cycle=CYCLE)


def test_times_that_are_no_whole_hours_are_refused_and_not_cut_off():
    assert hours_since_1970(parse("1970-01-02T03")) == 27
    assert hours_since_1970(parse("1969-12-31T23")) == -1
    for function in (hours_since_1970, name):
        with pytest.raises(ValueError, match="2022-01-31T18:30:00 is not a whole hour"):
            function(parse("2022-01-31T18:30"))


def test_data_outside_of_the_window_are_counted(tmp_path):
    offsets = [-3.01, -3.0, 2.99, 3.0]
    rows = [{"time_offset": offset, "pressure": 900.0 - 10 * row} for row, offset in enumerate(offsets)]
    write_prepbufr(tmp_path / "file", CYCLE, table(rows))
    found = decode(tmp_path / "file")
    times = [hours_since_1970(CYCLE)]
    assert (len(at_times(found, times, 3.0)), outside_of_windows(found, times, 3.0)) == (2, 2)
    both = [times[0], times[0] + 6]
    assert (len(at_times(found, both, 3.0)), outside_of_windows(found, both, 3.0)) == (3, 1)
    assert (len(at_times(found, [], 3.0)), outside_of_windows(found, [], 3.0)) == (0, 4)


# --- what is no PrepBUFR ----------------------------------------------------------------------------------------------


def test_packed_files_are_named_with_what_to_do(file, tmp_path):
    content = file.read_bytes()
    (tmp_path / "a.gz").write_bytes(gzip.compress(content))
    (tmp_path / "a.bz2").write_bytes(bz2.compress(content))
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(file, "inside")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(file, "inside")
    (tmp_path / "a.html").write_text("<!DOCTYPE html><p>404 not found: BUFR</p>")
    said = {"gz": "gunzip", "bz2": "bunzip2", "tar": "tar -xf", "zip": "unzip", "html": "get the file again"}
    for suffix, mend in said.items():
        with pytest.raises(PrepBufrError, match=mend) as raised:
            read_prepbufr(tmp_path / f"a.{suffix}")
        assert f"a.{suffix}" in str(raised.value)
        assert "damaged" not in str(raised.value)


def test_text_that_speaks_of_bufr_is_text(tmp_path):
    (tmp_path / "readme").write_text("This folder holds files of observations.\n" * 5 + "They are BUFR.\n")
    with pytest.raises(PrepBufrError, match="is text, not BUFR"):
        read_prepbufr(tmp_path / "readme")


def test_bufr_with_tables_elsewhere_is_named(file, tmp_path):
    (tmp_path / "bare").write_bytes(b"".join(messages(file)[2:]))
    with pytest.raises(PrepBufrError, match="lacks the tables that PrepBUFR brings"):
        read_prepbufr(tmp_path / "bare")


# --- fill values and other units --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("value", 9.97e36, "9.97e\\+36 for t at 500 hPa"),
        ("value", 1e11, "1e\\+11 for t"),
        ("value", -20.0, "-20 for t at 500 hPa, which is impossible in K"),
        ("value", np.nan, "not finite"),
        ("error", 9.97e36, "column error has the value 9.97e\\+36 for t"),
        ("latitude", 9.97e36, "column latitude has the value 9.97e\\+36"),
        ("longitude", -999.0, "column longitude has the value -999"),
        ("time_offset", 9.97e36, "column time_offset"),
        ("variable", 99, "column variable has the value 99, which is not the code of any type"),
        ("rejection", -127, "column rejection"),
    ],
)
def test_fill_values_and_other_units_in_a_table_are_refused(file, tmp_path, column, value, said):
    write_observations(tmp_path / "table.nc", decode(file))
    with netCDF4.Dataset(tmp_path / "table.nc", "a") as dataset:
        dataset[column][0] = value
    with pytest.raises(ValueError, match=said) as raised:
        read_observations(tmp_path / "table.nc")
    assert "table.nc" in str(raised.value)


def test_a_table_whose_units_are_not_the_state_s_is_refused(file, tmp_path):
    write_observations(tmp_path / "table.nc", decode(file))
    with netCDF4.Dataset(tmp_path / "table.nc", "a") as dataset:
        dataset["units"][0] = "degC"
    with pytest.raises(ValueError, match="column units gives 'degC' for t, which is in K here"):
        read_observations(tmp_path / "table.nc")


def test_an_impossible_temperature_reduces_no_pressure(tmp_path):
    surface = {"category": b"ADPSFC", "report_type": 181, "level_category": 0, "pressure": 950.0, "elevation": 500.0}
    rows = [{"variable": VARIABLES.index("p"), "value": 95000.0}, {"value": 80.0}]
    write_prepbufr(tmp_path / "file", CYCLE, table([surface | row for row in rows]))
    found = decode(tmp_path / "file")
    msl = found.value[found.variable == CODES["msl"]]
    standard = 288.15 - 0.0065 * 500.0
    assert msl == pytest.approx(95000.0 * (1 + 0.0065 * 500.0 / standard) ** (9.80665 / (287.05 * 0.0065)), rel=1e-6)


def test_values_of_rejected_data_may_be_impossible(file, tmp_path):
    found = decode(file)
    value = found.value.copy()
    value[0] = 900.0
    rejection = found.rejection.copy()
    rejection[0] = 5
    write_observations(tmp_path / "table.nc", found.with_columns(value=value, rejection=rejection))
    assert read_observations(tmp_path / "table.nc").value[0] == 900.0


def test_missing_values_of_prepbufr_are_no_data(tmp_path):
    """All bits set are missing: a level without a value leaves no row of that variable."""
    rows = [{"pressure": 900.0, "value": 280.0}, {"pressure": 800.0, "variable": VARIABLES.index("z"), "value": np.nan}]
    write_prepbufr(tmp_path / "file", CYCLE, table(rows))
    found = read_prepbufr(tmp_path / "file")
    assert (found.variable == T).sum() == 1
    assert not (found.variable == VARIABLES.index("z")).any()
