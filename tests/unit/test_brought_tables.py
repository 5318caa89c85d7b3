"""Tables of observations that a user brings: what becomes of them, and one clear error for each thing that is wrong."""

import gzip
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from lora_envar.command import main
from lora_envar.fields.timeline import hours_since_1970
from lora_envar.files.kinds import kind_of
from lora_envar.observations.brought_tables import read_tables
from lora_envar.observations.catalogue import CODES, TYPES, names_of
from lora_envar.observations.error_table import ErrorTable
from lora_envar.observations.quality import QualitySettings, select
from lora_envar.observations.reports import at_times
from lora_envar.observations.standard_atmosphere import standard_pressure
from lora_envar.observations.table import REJECTIONS, read_observations, write_observations

CYCLE = datetime(2022, 1, 1, 6, tzinfo=UTC)
HOUR = hours_since_1970(CYCLE)
ERRORS = ErrorTable(ROOT / "resources" / "observation_errors.csv")


def good() -> pd.DataFrame:
    """A temperature at a pressure, one at the surface, and a refractivity at a height."""
    return pd.DataFrame(
        {
            "variable": ["t", "t2m", "refractivity"],
            "value": [250.0, 280.0, 40.0],
            "error": [0.8, np.nan, np.nan],
            "latitude": [10.0, -60.25, 45.0],
            "longitude": [-170.0, 0.0, 359.9],
            "pressure": [500.0, np.nan, np.nan],
            "height": [np.nan, np.nan, 16000.0],
            "time": ["2022-01-01T06:30:00", "2022-01-01 04:00", "2022-01-01T07:45:00Z"],
            "station": ["00071", None, "G05-C12"],
            "type": [120, 181, 745],
            "elevation": [np.nan, 12.0, np.nan],
        }
    )


def written(folder, frame, form="csv"):
    path = folder / f"table.{form}"
    if form == "csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path, index=False)
    return path


def read(path, cycle=CYCLE, errors=ERRORS, said=None):
    return read_tables([path], errors, cycle, progress=(said if said is not None else []).append)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_rows_become_data(tmp_path, form):
    table = read(written(tmp_path, good(), form))
    assert names_of(table.variable).tolist() == ["t", "t2m", "refractivity"]
    assert table.value.tolist() == [250.0, 280.0, 40.0]
    assert set(table.time) == {HOUR}
    assert table.time_offset.tolist() == [0.5, -2.0, 1.75]
    assert table.station[[0, 2]].tolist() == [b"00071", b"G05-C12"] and len(table.station[1]) == 8
    assert table.report_type.tolist() == [120, 181, 745]
    np.testing.assert_array_equal(table.elevation, np.array([np.nan, 12.0, np.nan], "f4"))
    np.testing.assert_array_equal(table.height, np.array([np.nan, np.nan, 16000.0], "f4"))
    np.testing.assert_allclose(table.pressure, [500.0, np.nan, standard_pressure(np.array(16000.0))], rtol=1e-6)
    # as given, of the table of errors, of the type
    assert table.error == pytest.approx([0.8, 2.0, 0.004 * 40.0])


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_table_is_known_by_its_content_not_by_its_name(tmp_path, form):
    path = written(tmp_path, good(), form).rename(tmp_path / "observations.dat")
    assert kind_of(path)[0] == {"csv": "text", "parquet": "Parquet"}[form]
    assert len(read(path)) == 3


def test_a_mark_of_the_order_of_bytes_and_blanks_do_no_harm(tmp_path):
    text = good().to_csv(index=False).replace(",", ", ").replace("t2m", "t2m ")
    (tmp_path / "excel.csv").write_text("\ufeff" + text, encoding="utf-8")
    assert len(read(tmp_path / "excel.csv")) == 3


def test_what_is_not_said_is_filled_up(tmp_path):
    frame = good().drop(columns=["error", "station", "type", "elevation"])
    table = read(written(tmp_path, frame))
    assert table.error == pytest.approx([0.9, 2.0, 0.16])
    assert table.report_type.tolist() == [0, 0, 0]
    assert len(set(table.station)) == 3 and all(len(name) == 8 for name in table.station)


def test_data_of_one_place_are_of_one_station(tmp_path):
    frame = good().drop(columns="station").iloc[[0, 0, 0, 0]]
    frame = frame.assign(latitude=[10.0, 10.04, 10.06, 10.0], longitude=[-170.0, 190.0, 190.0, -170.02])
    names = read(written(tmp_path, frame)).station.tolist()
    assert names[0] == names[1] == names[3] != names[2]


def test_a_cycle_takes_three_hours_before_to_three_hours_after(tmp_path):
    times = ["02:59:59", "03:00", "08:59:59", "09:00"]
    frame = good().iloc[[0] * 4].assign(time=[f"2022-01-01T{time}" for time in times], value=[250.0, 251, 252, 253])
    path = written(tmp_path, frame)
    assert read(path).value.tolist() == [251.0, 252.0]
    every = read(path, None)
    assert (every.time - HOUR).tolist() == [-6, 0, 0, 6], "without a cycle each goes to the nearest"


def test_times_with_another_zone_are_brought_to_utc(tmp_path):
    frame = good().assign(time=["2022-01-01T06:30:00+02:00"] * 3)
    assert read(written(tmp_path, frame)).time_offset.tolist() == [-1.5] * 3


def test_several_tables_are_one(tmp_path):
    first = written(tmp_path, good())
    other = written(tmp_path, good().assign(value=[251.0, 281.0, 41.0]), "parquet")
    assert read_tables([first, other], ERRORS, CYCLE).value.tolist() == [250.0, 280.0, 40.0, 251.0, 281.0, 41.0]


def test_the_checks_of_reports_work_on_them(tmp_path):
    frame = pd.concat(
        [good(), good().assign(station=["B", "B2", "B3"], latitude=[10.5, -60.0, 45.2], value=[400, 281, 41])]
    )
    frame = pd.concat([frame, good().assign(pressure=[30.0, np.nan, np.nan], height=[np.nan, np.nan, 30000.0])])
    frame.iloc[-1, frame.columns.get_loc("value")] = 4.0
    write_observations(tmp_path / "decoded.nc", read(written(tmp_path, frame)))
    decoded = read_observations(tmp_path / "decoded.nc")
    table = select(at_times(decoded, [HOUR, HOUR + 3], 1.5), QualitySettings(withheld=0.0, thinning_km=500.0))
    found = list(zip(names_of(table.variable), (REJECTIONS[code] for code in table.rejection), strict=True))
    assert found == [
        ("t", "used"),
        ("t", "gross_limits"),
        ("t", "outside_of_levels"),
        ("refractivity", "thinned"),
        ("refractivity", "used"),
        ("refractivity", "outside_of_levels"),
    ], "those of the surface were measured at 04, in no window"


def test_columns_that_are_unknown_are_left_aside_in_one_line(tmp_path):
    said = []
    read(written(tmp_path, good().assign(azimuth=0.0, instrument="x")), said=said)
    assert said == [f"{tmp_path / 'table.csv'}: the columns azimuth, instrument are ignored"]


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("variable", ["t", "t2m", "refractivty"], "'refractivty' in row 3 is not a type .*; did you mean refractivity"),
        ("variable", ["t", "2m temperature", "t"], "'2m temperature' in row 2 .*; did you mean t2m"),
        ("variable", ["t", None, "xyz"], r"'' in row 2 \(and 1 more\) is not a type of observation; known: u10, v10"),
        ("value", [250.0, "warm", 40.0], "'warm' in row 2 is not a number"),
        ("value", [250.0, np.nan, 40.0], "nan in row 2 is missing"),
        ("value", [250.0, np.inf, 40.0], "inf in row 2 is out of range"),
        ("value", [-9999.0, 280.0, 40.0], "column value has -9999 for t at 500 hPa.* impossible in K"),
        ("value", [250.0, 280.0, 400.0], "column value has 400 for refractivity at 16000 m.* impossible in 1e-6"),
        ("error", [0.8, 0.0, 0.1], "0 in row 2 is out of range; give a number above zero"),
        ("error", [0.8, -1.0, 0.1], "-1 in row 2"),
        ("error", [0.8, "large", 0.1], "'large' in row 2 is not a number"),
        ("latitude", [10.0, -91.0, 45.0], "-91 in row 2 is out of range; give degrees"),
        ("latitude", [10.0, np.nan, 45.0], "nan in row 2 is missing"),
        ("longitude", [10.0, 0.0, 361.0], "361 in row 3 is out of range"),
        ("pressure", [50000.0, np.nan, np.nan], "50000 in row 1 is out of range; give hPa"),
        (
            "pressure",
            [500.0, 1000.0, np.nan],
            "1000 in row 2 must not be there, because t2m is at the surface; leave it empty",
        ),
        ("pressure", [np.nan] * 3, "nan in row 1 is missing for t, and so is a height"),
        ("height", [5500.0, np.nan, 16000.0], "5500 in row 1 stands beside a pressure"),
        ("height", [np.nan, np.nan, 1.6e7], "1.6e\\+07 in row 3 is out of range; give m"),
        ("time", ["2022-01-01T06", "yesterday", "2022-01-01T06"], "'yesterday' in row 2 is not a time; write it as"),
        ("time", ["2022-01-01T06", None, "2022-01-01T06"], "row 2 is not a time"),
        ("time", ["2022-13-01T06", "2022-01-01T06", "2022-01-01T06"], "'2022-13-01T06' in row 1 is not a time"),
        ("station", ["A", "B", "123456789"], "'123456789' in row 3 has more than eight characters"),
        ("type", [120, 1.5, 745], "1.5 in row 2 is not a whole number"),
        ("type", [120, 1e6, 745], "1e\\+06 in row 2 is out of range"),
        ("elevation", [0.0, 1e5, 0.0], "100000 in row 2 is out of range; give m"),
    ],
)
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_bad_column_is_one_clear_error(tmp_path, column, values, said, form):
    frame = good()
    frame[column] = values
    if form == "parquet" and pd.api.types.is_object_dtype(frame[column]):
        frame[column] = frame[column].map(lambda value: value if value is None else str(value))
    with pytest.raises(ValueError, match=said) as refused:
        read(written(tmp_path, frame, form))
    assert f"table.{form}: column {column}" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_times_as_numbers_are_no_times(tmp_path):
    with pytest.raises(ValueError, match=r"column time: the value 20220101 in row 1 .* is not a time"):
        read(written(tmp_path, good().assign(time=20220101), "parquet"))


def test_parquet_s_own_times_are_utc(tmp_path):
    times = pd.to_datetime(["2022-01-01T06:30", "2022-01-01T04:00", "2022-01-01T07:45"])
    for zone in (None, "UTC"):
        frame = good().assign(time=times.tz_localize(zone))
        assert read(written(tmp_path, frame, "parquet")).time_offset.tolist() == [0.5, -2.0, 1.75]


def test_stations_that_are_numbers_keep_their_name(tmp_path):
    frame = good().assign(station=[71082.0, np.nan, 5.0])
    assert read(written(tmp_path, frame, "parquet")).station[[0, 2]].tolist() == [b"71082", b"5"]


def test_a_geopotential_has_no_height_for_a_place(tmp_path):
    frame = good().assign(variable=["t", "t2m", "z"])
    with pytest.raises(ValueError, match="column height: the value 16000 in row 3 is the height of a geopotential"):
        read(written(tmp_path, frame))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda frame: frame.drop(columns=["time", "latitude"]),
            "has no column latitude, time; it has variable, value",
        ),
        (lambda frame: frame.rename(columns={"error": "errors"}), "column errors is unknown; did you mean error"),
        (lambda frame: frame.rename(columns={"height": "Height"}), "column Height is unknown; did you mean height"),
        (lambda frame: frame[:0], "there are no rows"),
    ],
)
def test_columns_that_are_missing_or_misspelled_are_named(tmp_path, change, said):
    with pytest.raises(ValueError, match=said):
        read(written(tmp_path, change(good())))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("variable;value;time\nt;1;2\n", "has no column variable, .*; it has variable;value;time"),
        ("variable,value\nt,1\nt,2,3,4\n", "cannot be read as CSV"),
        ("variable,value\nt,1,2\n", "cannot be read as CSV"),
        (
            "<html>not found</html>",
            "is a web page or XML, .*, and neither a table in CSV or Parquet nor a file in IODA or BUFR; read",
        ),
        ("", "is empty, and neither a table"),
    ],
)
def test_what_is_no_table_is_named(tmp_path, text, said):
    (tmp_path / "file").write_text(text)
    with pytest.raises(ValueError, match=said) as refused:
        read(tmp_path / "file")
    assert "\n" not in str(refused.value)


def test_packed_cut_off_and_missing_files_are_named(tmp_path):
    path = written(tmp_path, good())
    (tmp_path / "packed").write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(ValueError, match=r"packed is compressed by gzip, .*; unpack it \(gunzip"):
        read(tmp_path / "packed")
    whole = written(tmp_path, good(), "parquet").read_bytes()
    (tmp_path / "cut").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="cut cannot be read as Parquet"):
        read(tmp_path / "cut")
    with pytest.raises(ValueError, match=r"none cannot be read .*; check the path"):
        read(tmp_path / "none")


def test_a_table_of_another_time_is_refused_and_a_gap_is_said(tmp_path):
    path = written(tmp_path, good())
    for hour, day in ((0, 2), (0, 1)):
        with pytest.raises(ValueError, match=r"column time: none of 3 rows is within 3 h of .* 2022-01-01T04:00 to"):
            read(path, datetime(2022, 1, day, hour, tzinfo=UTC))
    later = written(tmp_path, good().assign(time="2022-01-03T06:00"), "parquet")
    said = []
    table = read_tables([path, later], ERRORS, datetime(2022, 1, 2, 6, tzinfo=UTC), progress=said.append)
    assert len(table) == 0 and said[0].startswith("warning: ") and len(said) == 1
    write_observations(tmp_path / "empty.nc", table)
    assert len(read_observations(tmp_path / "empty.nc")) == 0


def test_without_an_error_of_any_source_a_table_is_refused(tmp_path):
    path = written(tmp_path, good())
    with pytest.raises(ValueError, match=r"table.csv: column error: there is no observation error for t2m"):
        read(path, errors=ErrorTable(None))
    frame = good().assign(error=[0.8, 1.0, np.nan])
    assert read(written(tmp_path, frame), errors=ErrorTable(None)).error == pytest.approx([0.8, 1.0, 0.16])


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_the_command_decodes_tables(tmp_path, capsys, form):
    path = written(tmp_path, good(), form)
    assert main(["decode", str(path), "-o", str(tmp_path / "out.nc")]) == 0
    assert "3 data, of which 3 can be used" in capsys.readouterr().out
    assert read_observations(tmp_path / "out.nc").variable.tolist() == [
        CODES[name] for name in ("t", "t2m", "refractivity")
    ]
    assert main(["decode", str(path), "-o", str(tmp_path / "out.nc"), "--categories", "ADPUPA"]) == 1
    assert "--categories is only for PrepBUFR" in capsys.readouterr().err


def test_every_type_can_be_brought(tmp_path):
    """With the value in the middle of what is possible, at 500 hPa or at the surface."""
    rows = []
    for name, kind in TYPES.items():
        pressure = np.array([500.0])
        middle = sum(kind.limits) / 2
        offset = kind.limited(np.zeros(1), pressure)[0]
        scale = (kind.limited(np.ones(1), pressure) - offset)[0] if not kind.surface else 1.0
        value = (middle - offset) / scale
        rows.append((name, value, 1e-3, 0.0, 0.0, np.nan if kind.surface else 500.0, "2022-01-01T06:00"))
    columns = ["variable", "value", "error", "latitude", "longitude", "pressure", "time"]
    table = read(written(tmp_path, pd.DataFrame(rows, columns=columns)))
    assert names_of(table.variable).tolist() == list(TYPES)
    assert (select(table, QualitySettings(withheld=0.0)).rejection == 0).all()
