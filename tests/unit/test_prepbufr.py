"""PrepBUFR: what is written is read, events and drift mean what NCEP says, and no damage passes for data."""

from datetime import UTC, datetime

import numpy as np
import pytest
from lora_envar.example_world import prepbufr_writer
from lora_envar.example_world.prepbufr_tables import CATEGORIES, SEQUENCES, categories_of_one_level
from lora_envar.example_world.prepbufr_writer import write_prepbufr
from lora_envar.fields.constants import GRAVITY
from lora_envar.observations import prepbufr
from lora_envar.observations.prepbufr import (
    COLUMNS,
    MISSING_MARK,
    VARIABLES,
    PrepBufrError,
    Reports,
    iterate_prepbufr,
    read_prepbufr,
)
from pybufrkit.decoder import Decoder, generate_bufr_message

CYCLE = datetime(2022, 8, 24, 6, tzinfo=UTC)
T, U, V = (VARIABLES.index(name) for name in "tuv")

#: bits of a value that are lost by dividing and multiplying: a few units in the last place of the largest, 1e5
ROUNDING = 1e-10


def table(rows: list[dict]) -> Reports:
    """Reports of rows that say only what matters."""
    default = {
        "category": b"ADPUPA",
        "report_type": 120,
        "station": b"72000",
        "latitude": 40.0,
        "longitude": 250.0,
        "time_offset": -0.5,
        "elevation": 100.0,
        "level_category": 1,
        "pressure": 500.0,
        "variable": T,
        "value": 253.15,
        "error": np.nan,
        "quality": 2,
        "virtual": False,
    }
    columns = {name: np.array([(default | row)[name] for row in rows]) for name in COLUMNS}
    return Reports(cycle=CYCLE, **columns)


def random_reports(category: str, seed: int = 0, reports: int = 12) -> Reports:
    """Reports of a category with all it can hold, at the precision of the fields, some of it missing."""
    random = np.random.default_rng(seed)
    members = SEQUENCES[category][1]
    held = " ".join(members if "CAT" in members else SEQUENCES["PRSLEVEL"][1])
    rows = []
    # mass and wind are reports of their own, each with pressure
    for report_type, names in ((120, "pqtz"), (220, "puv")) * (reports // 2):
        names = [name for name in names if f"<{'W' if name in 'uv' else name.upper()}___INFO>" in held]
        number = len({row["station"] for row in rows})
        place = {
            "category": category.encode(),
            "report_type": report_type,
            "station": f"{category[:2]}{number:03d}".encode(),
            "latitude": random.integers(-9000000, 9000000) / 1e5,
            "longitude": random.integers(0, 36000000) / 1e5,
            "time_offset": random.integers(-300000, 300000) / 1e5,
            "elevation": [float(random.integers(-400, 5000)), np.nan][number % 5 == 1],
        }
        for level in range(1 if category in categories_of_one_level() else 2 + number):
            if category == "ADPUPA" and level:  # the balloon drifts
                place["latitude"] = round(place["latitude"] * 0.999, 5)
                place["time_offset"] = round(place["time_offset"] + 0.02, 5)
            pressure = np.nan if number % 6 == 2 else random.integers(1, 10500) / 10
            wind_mark, wind_error = random.integers(0, 16), random.integers(1, 99) / 10
            for name in names:
                if np.isnan(pressure) if name == "p" else random.random() < 0.2:
                    continue
                value, error = {
                    "p": (pressure * 100.0, random.integers(1, 999)),
                    "q": (random.integers(0, 30000) * 1e-6, np.nan),
                    "t": (random.integers(-2731, 800) / 10 + 273.15, random.integers(1, 99) / 10),
                    "z": (random.integers(-1000, 60000) * GRAVITY, np.nan),
                    "u": (random.integers(-4000, 4000) / 10, wind_error),
                    "v": (random.integers(-4000, 4000) / 10, wind_error),
                }[name]
                quality = wind_mark if name in "uv" else random.integers(0, 16)
                datum = {
                    "level_category": level % 7,
                    "pressure": pressure,
                    "variable": VARIABLES.index(name),
                    "value": value,
                    "error": np.nan if number % 4 == 3 else error,
                    "quality": MISSING_MARK if number % 4 == 2 else quality,
                }
                rows.append(place | datum)
    return table(rows)


def joined(parts) -> Reports:
    return Reports(CYCLE, **{name: np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS})


def assert_same(found: Reports, expected: Reports):
    assert len(found) == len(expected)
    for name in COLUMNS:
        one, other = getattr(found, name), getattr(expected, name)
        if one.dtype.kind == "f":
            # columns of single precision hold 24 bits
            bound = ROUNDING if one.dtype == np.float64 else 2.0**-24 * np.nanmax(np.abs(other), initial=1.0)
            np.testing.assert_allclose(one, other, rtol=0, atol=bound, err_msg=name)
        else:
            np.testing.assert_array_equal(one, other, err_msg=name)


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """A file of all categories, of some messages each, and its rows."""
    reports = joined([random_reports(category, seed) for seed, category in enumerate(CATEGORIES)])
    path = tmp_path_factory.mktemp("prepbufr") / "gdas.prepbufr"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepbufr_writer, "MESSAGE_BYTES", 500)
        write_prepbufr(path, CYCLE, reports)
    return path, reports


def messages(path) -> list[bytes]:
    data, parts = path.read_bytes(), []
    while data:
        length = int.from_bytes(data[4:7], "big")
        parts.append(data[:length])
        data = data[length:]
    return parts


# --- what is written is read ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("category", CATEGORIES)
def test_a_category_comes_back(category, tmp_path):
    reports = random_reports(category)
    assert np.isnan(reports.elevation).any() and (reports.quality == MISSING_MARK).any(), "nothing is missing"
    write_prepbufr(tmp_path / "file", CYCLE, reports)
    found = read_prepbufr(tmp_path / "file")
    assert found.cycle == CYCLE
    assert_same(found, reports)


def test_reports_are_counted_by_category(tmp_path):
    rows = [{"station": name, "pressure": p} for name in (b"A", b"B", b"C") for p in (850.0, 500.0)]
    rows += [{"category": b"ADPSFC", "station": name, "level_category": 0} for name in (b"D", b"E")]
    write_prepbufr(tmp_path / "file", CYCLE, table(rows))
    assert read_prepbufr(tmp_path / "file").counts == {"ADPUPA": 3, "ADPSFC": 2}


def test_pieces_of_any_size_hold_the_same(everything, monkeypatch):
    path, reports = everything
    monkeypatch.setattr(prepbufr, "CHUNK", 1)
    pieces = list(iterate_prepbufr(path))
    assert len(pieces) > len(CATEGORIES)
    assert_same(joined(pieces), reports)


def test_records_of_fortran_between_messages_are_passed_over(everything, tmp_path):
    path, reports = everything
    words = [len(message).to_bytes(4, "big") for message in messages(path)]
    blocked = b"".join(word + message + word for word, message in zip(words, messages(path), strict=True))
    (tmp_path / "blocked").write_bytes(blocked)
    assert_same(read_prepbufr(tmp_path / "blocked"), reports)


def test_a_category_that_is_not_wanted_is_not_even_decoded(everything, tmp_path):
    path, reports = everything
    damaged = bytearray(path.read_bytes())
    start = damaged.find(b"AD000")  # the first station of ADPUPA: a length of 0 stands before it
    damaged[start - 2 : start] = b"\0\0"
    (tmp_path / "damaged").write_bytes(damaged)
    with pytest.raises(PrepBufrError, match="damaged"):
        read_prepbufr(tmp_path / "damaged")
    found = read_prepbufr(tmp_path / "damaged", categories=["AIRCFT", "ASCATW"])
    wanted = np.isin(reports.category, [b"AIRCFT", b"ASCATW"])
    assert set(found.counts) == {"AIRCFT", "ASCATW"}
    assert_same(found, Reports(CYCLE, **{name: getattr(reports, name)[wanted] for name in COLUMNS}))


def test_no_data_of_the_wanted_categories_is_an_empty_table(everything):
    found = read_prepbufr(everything[0], categories=["MSONET"])
    assert len(found) == 0 and found.cycle == CYCLE and found.counts == {}
    with pytest.raises(ValueError, match="ADPUAP"):
        read_prepbufr(everything[0], categories=["ADPUAP"])


def test_the_window_is_closed_and_of_the_level(tmp_path):
    offsets = [-1.00001, -1.0, 0.0, 1.0, 1.00001]
    rows = [{"time_offset": offset, "pressure": 900.0 - row} for row, offset in enumerate(offsets)]
    write_prepbufr(tmp_path / "file", CYCLE, table(rows))
    found = read_prepbufr(tmp_path / "file", window_hours=1.0)
    np.testing.assert_array_equal(found.time_offset[found.variable == T], [-1.0, 0.0, 1.0])
    assert len(read_prepbufr(tmp_path / "file")) == 2 * len(offsets)


def test_a_drifting_balloon_is_one_report_whose_levels_have_their_own_place_and_time(tmp_path):
    rows = [
        {
            "latitude": 40 + 0.01 * k,
            "longitude": 359.995 + 0.004 * k,
            "time_offset": 0.1 * k,
            "pressure": 900.0 - 50 * k,
        }
        for k in range(4)
    ]
    rows[2]["longitude"] %= 360
    rows[3]["longitude"] %= 360
    write_prepbufr(tmp_path / "file", CYCLE, table(rows))
    found = read_prepbufr(tmp_path / "file")
    assert found.counts == {"ADPUPA": 1}
    chosen = found.variable == T
    np.testing.assert_allclose(found.latitude[chosen], [40.0, 40.01, 40.02, 40.03], rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(found.longitude[chosen], [359.995, 359.999, 0.003, 0.007], rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(found.time_offset[chosen], [0.0, 0.1, 0.2, 0.3], rtol=0, atol=ROUNDING)


def test_longitudes_run_from_0_to_360(tmp_path):
    rows = [{"category": b"SFCSHP", "longitude": longitude} for longitude in (-110.0, 0.0, 250.0, 360.0)]
    write_prepbufr(tmp_path / "file", CYCLE, table(rows))
    found = read_prepbufr(tmp_path / "file")
    np.testing.assert_array_equal(found.longitude[found.variable == T], [250.0, 0.0, 250.0, 0.0])


def test_a_pressure_without_a_datum_becomes_one(tmp_path):
    write_prepbufr(tmp_path / "file", CYCLE, table([{"variable": U, "value": 3.0}]))
    found = read_prepbufr(tmp_path / "file")
    assert [VARIABLES[code] for code in found.variable] == ["p", "u"]
    np.testing.assert_allclose(found.value, [50000.0, 3.0])


def test_a_level_in_any_order_is_one_level_and_a_second_datum_makes_another(tmp_path):
    rows = [{"variable": VARIABLES.index(name), "value": value} for name, value in (("z", 980.665), ("q", 1e-3))]
    rows += [{"variable": V, "value": 2.0}, {"variable": U, "value": 1.0}, {"variable": U, "value": 3.0}]
    rows += [{"variable": V, "value": 4.0, "quality": 9}]  # not the mark of the u before it
    write_prepbufr(tmp_path / "file", CYCLE, table(rows))
    found = read_prepbufr(tmp_path / "file")
    assert [VARIABLES[code] for code in found.variable] == [*"pqzuv", *"pu", *"pv"]
    np.testing.assert_allclose(found.value[found.variable >= U], [1.0, 2.0, 3.0, 4.0], rtol=0, atol=ROUNDING)
    assert found.quality[-1] == 9


def test_what_does_not_fit_is_not_written(tmp_path):
    for row, said in (
        ({"value": 9999.0}, "TOB"),
        ({"category": b"ASCATW"}, "ASCATW has no place for T___INFO"),
        ({"category": b"NOSUCH"}, "NOSUCH"),
        ({"variable": 0, "value": 60000.0}, "pressure of its level"),
    ):
        with pytest.raises(ValueError, match=said):
            write_prepbufr(tmp_path / "file", CYCLE, table([row]))
        assert not (tmp_path / "file").exists()


# --- events -----------------------------------------------------------------------------------------------------------


def test_the_newest_event_comes_first(tmp_path):
    rows = [{"value": 250.15}, {"variable": U, "value": 5.0}, {"variable": V, "value": -6.0}]
    earlier = [[251.15, 7.0, 8.0], [252.15, np.nan, np.nan]]
    write_prepbufr(tmp_path / "file", CYCLE, table(rows), earlier)
    found = read_prepbufr(tmp_path / "file")
    np.testing.assert_allclose(found.value[found.variable != 0], [250.15, 5.0, -6.0], rtol=0, atol=ROUNDING)
    assert not found.virtual.any()


#: program codes from new to old -> whether the newest is virtual, and which event is the newest sensible one
STACKS = [
    ((1,), False, 0),
    ((8,), True, 0),
    ((8, 1), True, 1),
    ((15, 8, 1), True, 2),
    ((8, 8, 6, 1), True, 2),
    ((6, 1), False, 0),
]


@pytest.mark.parametrize(("programs", "virtual", "newest_sensible"), STACKS)
def test_virtual_temperature_is_known_by_its_program(programs, virtual, newest_sensible, tmp_path):
    events = 290.15 - np.arange(len(programs))
    # a second level without any events tells whether one level's stack leaks into another
    rows = [{"value": events[0], "virtual": virtual, "quality": 3}, {"pressure": 300.0, "value": 230.15}]
    earlier = [[value, np.nan] for value in events[1:]]
    write_prepbufr(tmp_path / "file", CYCLE, table(rows), earlier, [[code, 1] for code in programs])
    found = read_prepbufr(tmp_path / "file")
    chosen = found.variable == T
    assert found.virtual[chosen].tolist() == [virtual, False]
    np.testing.assert_allclose(found.value[chosen], [events[0], 230.15], rtol=0, atol=ROUNDING)
    found = read_prepbufr(tmp_path / "file", sensible=True)
    assert found.virtual[chosen].tolist() == [programs == (8,), False]
    np.testing.assert_allclose(found.value[chosen], [events[newest_sensible], 230.15], rtol=0, atol=ROUNDING)
    assert found.quality[chosen].tolist() == [3, 2]


# --- files that are not what they should be ---------------------------------------------------------------------------


def test_truncation_is_seen_wherever_it_is(everything, tmp_path):
    whole = everything[0].read_bytes()
    last = whole.rfind(b"BUFR")
    for size in (5, 30, 200, last + 2, last + 6, last + 40, len(whole) - 1):
        (tmp_path / "part").write_bytes(whole[:size])
        with pytest.raises(PrepBufrError, match="part is truncated"):
            read_prepbufr(tmp_path / "part")


def test_a_report_is_not_read_beyond_its_end(tmp_path):
    write_prepbufr(tmp_path / "file", CYCLE, table([{"pressure": pressure} for pressure in (900.0, 800.0, 700.0)]))
    assert len(read_prepbufr(tmp_path / "file")) == 6
    data = bytearray((tmp_path / "file").read_bytes())
    data[data.find(b"72000") - 1] -= 20  # the last byte of its length
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(PrepBufrError, match="does not fit"):
        read_prepbufr(tmp_path / "file")


def test_damage_never_passes_for_another_error(everything, tmp_path):
    """Bytes that are changed give other values or a `PrepBufrError`, and nothing else."""
    whole, random = everything[0].read_bytes(), np.random.default_rng(1)
    start = whole.rfind(b"BUFR")
    tables = b"".join(messages(everything[0])[:2])
    raised = 0
    for position in [*range(4, 8), *range(8, 60, 5), *random.integers(60, len(whole) - start, 5)]:
        damaged = bytearray(whole[start:])
        damaged[position] ^= 0xFF
        (tmp_path / "damaged").write_bytes(tables + damaged)
        try:
            read_prepbufr(tmp_path / "damaged")
        except PrepBufrError:
            raised += 1
    assert raised > 5


def test_other_files_are_refused(everything, tmp_path):
    path = tmp_path / "file"
    tables, data = messages(everything[0])[:2], messages(everything[0])[2:]
    later = bytearray(data[-1])
    later[8 + 15] += 6
    for content, said in (
        (b"", "is empty"),
        (b"GRIB" + bytes(5000) + b"7777", "is not BUFR"),
        (b"".join(tables), "none with reports"),
        (b"".join(data), "nothing defines"),
        (b"".join(tables) + bytes(1000) + b"".join(data), "is not BUFR; get it again"),
        (b"".join(tables + data) + later, "cycles 2022-08-24 06 and 2022-08-24 12"),
    ):
        path.write_bytes(content)
        with pytest.raises(PrepBufrError, match=said) as raised:
            read_prepbufr(path)
        assert str(path) in str(raised.value) and "\n" not in str(raised.value)
    with pytest.raises(PrepBufrError, match="cannot be read"):
        read_prepbufr(tmp_path / "none")


def test_bufr_that_is_not_prepbufr_is_refused(shared_data):
    with pytest.raises(PrepBufrError, match="PrepBUFR"):
        read_prepbufr(shared_data / "pdbufr_temp.bufr")


def test_progress_is_told(everything, monkeypatch):
    monkeypatch.setattr(prepbufr, "PROGRESS_SECONDS", -1.0)
    lines = []
    read_prepbufr(everything[0], progress=lines.append)
    assert lines and all(str(everything[0]) in line for line in lines)


# --- other decoders ---------------------------------------------------------------------------------------------------


def slowly(path) -> Reports:
    """The same by pybufrkit's own decoding, walking over descriptors and values one by one."""
    names = {1194: "SID", 6240: "XOB", 5002: "YOB", 4215: "DHR", 10199: "ELV", 55007: "TYP", 8193: "CAT"}
    names |= {7245: "POB", 7246: "PQM", 7250: "POE", 13245: "QOB", 13246: "QQM", 12245: "TOB", 12246: "TQM"}
    names |= {12247: "TPC", 12250: "TOE", 10007: "ZOB", 10246: "ZQM", 11003: "UOB", 11004: "VOB", 11240: "WQM"}
    names |= {11245: "WOE", 6241: "XDR", 5241: "YDR", 4218: "HRDR"}
    types = {int(number[3:]): name for name, (number, _) in SEQUENCES.items() if name in CATEGORIES}
    rows = []

    def level_of(header, level, category):
        place = header | {key: value for key, value in level.items() if value is not None}
        for variable, letter in zip(VARIABLES, "PQTZUV", strict=True):
            value = level.get(f"{letter}OB")
            if value is None:
                continue
            kind = "W" if letter in "UV" else letter
            error, mark = level.get(f"{kind}OE"), level.get(f"{kind}QM")
            elevation, pressure, code = header["ELV"], level.get("POB"), level["CAT"]
            factor, offset = {"P": (100.0, 0.0), "Q": (1e-6, 0.0), "T": (1.0, 273.15), "Z": (9.80665, 0.0)}.get(
                letter, (1.0, 0.0)
            )
            rows.append(
                {
                    "category": category,
                    "report_type": header["TYP"],
                    "station": header["SID"].rstrip(),
                    "latitude": place.get("YDR", place["YOB"]),
                    "longitude": place.get("XDR", place["XOB"]) % 360,
                    "time_offset": place.get("HRDR", place["DHR"]),
                    "elevation": np.nan if elevation is None else elevation,
                    "level_category": -1 if code is None else code,
                    "pressure": np.nan if pressure is None else pressure,
                    "variable": VARIABLES.index(variable),
                    "value": value * factor + offset,
                    "error": np.nan if error is None else error * (100 if letter == "P" else 1),
                    "quality": MISSING_MARK if mark is None else mark,
                    "virtual": letter == "T" and level["virtual"],
                }
            )

    for message in generate_bufr_message(Decoder(compiled_template_cache_max=32), path.read_bytes()):
        if message.data_category.value == 11:
            continue
        category, data = types[message.data_category.value].encode(), message.template_data.value
        for descriptors, values in zip(
            data.decoded_descriptors_all_subsets, data.decoded_values_all_subsets, strict=True
        ):
            header, level = {}, None
            for descriptor, value in zip(descriptors, values, strict=True):
                name = names.get(descriptor.id)
                if name == "CAT":
                    if level is not None:
                        level_of(header, level, category)
                    level = {"virtual": False}
                if name == "TPC" and value == 8:
                    level["virtual"] = True
                if name:
                    (header if level is None else level).setdefault(name, value)
            if level is not None:
                level_of(header, level, category)
    return table(rows)


def test_real_reports_are_those_that_pybufrkit_decodes(shared_data, tmp_path):
    excerpt = shared_data / "rap_adpsfc_excerpt.prepbufr"
    found = read_prepbufr(excerpt)
    assert found.cycle == CYCLE and found.counts == {"ADPSFC": 3845}
    # the tables and a few of the 30 messages, for it takes its time
    (tmp_path / "part").write_bytes(b"".join([*messages(excerpt)[:4], *messages(excerpt)[4::15]]))
    assert_same(read_prepbufr(tmp_path / "part"), slowly(tmp_path / "part"))


def test_written_reports_are_those_that_pybufrkit_decodes(tmp_path):
    reports = joined([random_reports(category, 3, 6) for category in CATEGORIES])
    events = np.stack([np.where(reports.variable == T, 260.15, np.nan)] * 2)
    virtual = (reports.variable == T) & (np.arange(len(reports)) % 3 == 0)
    reports = Reports(CYCLE, **{name: virtual if name == "virtual" else getattr(reports, name) for name in COLUMNS})
    write_prepbufr(tmp_path / "file", CYCLE, reports, events)
    expected = slowly(tmp_path / "file")
    assert expected.virtual.sum() == virtual.sum() > 5
    assert_same(expected, reports)
    assert_same(read_prepbufr(tmp_path / "file"), expected)


def test_real_reports_are_those_that_earth2bufr_decodes(shared_data):
    earth2bufr = pytest.importorskip("earth2bufr")
    path = shared_data / "rap_adpsfc_excerpt.prepbufr"
    (batch,) = earth2bufr.read_bufr(path)
    found = read_prepbufr(path)
    names = [column.name for column in batch.schema]
    for number, (variable, mnemonic, factor, offset) in enumerate(
        (
            ("p", "P", 100.0, 0.0),
            ("q", "Q", 1e-6, 0.0),
            ("t", "T", 1.0, 273.15),
            ("z", "Z", GRAVITY, 0.0),
            ("u", "W", 1.0, 0.0),
            ("v", "W", 1.0, 0.0),
        )
    ):
        # INFO sequences follow each other in the columns DRF1BIT_2 to DRF1BIT_6; the stack is their first list
        info = batch.column(names.index(f"DRF1BIT_{min(number, 4) + 2}"))
        stacks = [entry[0].as_py()["DRF8BIT"] if len(entry) else [] for entry in _stacks_only(info)]
        observed = "UOB" if variable == "u" else "VOB" if variable == "v" else f"{mnemonic}OB"
        newest = [stack[0] if stack else {observed: None} for stack in stacks]
        kept = np.array([event[observed] is not None for event in newest])
        values = np.array([event[observed] for event in newest if event[observed] is not None])
        marks = np.array([event[f"{mnemonic}QM"] for event in newest if event[observed] is not None])
        chosen = found.variable == number
        assert chosen.sum() == kept.sum() > 1000
        np.testing.assert_allclose(found.value[chosen], values * factor + offset, rtol=0, atol=ROUNDING)
        np.testing.assert_array_equal(found.quality[chosen], marks)
        for name, column, places in (
            ("latitude", "YOB", 5),
            ("time_offset", "DHR", 5),
            ("report_type", "TYP", 0),
            ("level_category", "CAT", 0),
        ):
            expected = batch.column(names.index(column)).to_numpy(zero_copy_only=False)[kept]
            np.testing.assert_allclose(getattr(found, name)[chosen], expected, rtol=0, atol=10.0 ** -(places + 3))


def _stacks_only(info):
    """Entries of a list of structures; each structure is made a dict of its event stack alone."""
    import pyarrow

    field = info.type.value_type.field(0)
    stacks = pyarrow.StructArray.from_arrays([info.values.field(0)], fields=[field])
    return pyarrow.ListArray.from_arrays(info.offsets, stacks)
