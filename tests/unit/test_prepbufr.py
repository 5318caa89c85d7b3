"""PrepBUFR: what is written is read, events and drift mean what NCEP says, and no damage passes for data."""

import numpy as np
import pytest
from lora_envar.example_world import prepbufr_writer
from lora_envar.example_world.prepbufr_tables import CATEGORIES
from lora_envar.example_world.prepbufr_writer import write_prepbufr
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
from prepbufr_files import CYCLE, ROUNDING, T, U, V, assert_same, joined, messages, random_reports, table


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """A file of all categories, of some messages each, and its rows."""
    reports = joined([random_reports(category, seed) for seed, category in enumerate(CATEGORIES)])
    path = tmp_path_factory.mktemp("prepbufr") / "gdas.prepbufr"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepbufr_writer, "MESSAGE_BYTES", 500)
        write_prepbufr(path, CYCLE, reports)
    return path, reports


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
