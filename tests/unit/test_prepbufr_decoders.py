"""PrepBUFR as other decoders have it: pybufrkit and earth2bufr find in a file what is read of it, value for value."""

import numpy as np
import pytest
from lora_envar.example_world.prepbufr_tables import CATEGORIES, SEQUENCES
from lora_envar.example_world.prepbufr_writer import write_prepbufr
from lora_envar.fields.constants import GRAVITY
from lora_envar.observations.prepbufr import COLUMNS, MISSING_MARK, VARIABLES, Reports, read_prepbufr
from prepbufr_files import CYCLE, ROUNDING, T, assert_same, joined, messages, random_reports, table
from pybufrkit.decoder import Decoder, generate_bufr_message


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
