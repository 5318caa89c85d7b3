"""Radio occultations in BUFR: what becomes of a profile, and one clear error for each thing that is wrong."""

import json
from datetime import UTC, datetime

import numpy as np
import pytest
import torch
from conftest import CHECKED, ROOT
from lora_envar.analysis.assimilate import Case, compare
from lora_envar.analysis.minimisation import MinimiserSettings
from lora_envar.command import main
from lora_envar.example_world.prepbufr_writer import _message
from lora_envar.fields.grid import Grid
from lora_envar.fields.state import CHANNELS
from lora_envar.fields.timeline import hours_since_1970
from lora_envar.observations import NETWORKS
from lora_envar.observations.brought_tables import read_tables
from lora_envar.observations.catalogue import CODES
from lora_envar.observations.error_table import ErrorTable
from lora_envar.observations.heights import geopotential_height
from lora_envar.observations.occultations import REJECTED, SUSPECT
from lora_envar.observations.operator import ObservationOperator
from lora_envar.observations.quality import QualitySettings, select
from lora_envar.observations.standard_atmosphere import standard_geopotential, standard_pressure
from lora_envar.observations.table import REASONS, read_observations
from lora_envar.observations.types.refractivity import Refractivity
from lora_envar.plan.plan import Plan
from lora_envar.plan.schema import check_schema
from pybufrkit.encoder import Encoder
from pybufrkit.tables import TableGroupCacheManager

ERRORS = ErrorTable(None)
GRID = Grid("gaussian", 16, 32)
CYCLE = datetime(2022, 1, 1, 6, tzinfo=UTC)
TEMPLATE = 310026
HEIGHTS = np.arange(1000.0, 20000.0, 1000.0)
REFRACTIVITY = np.round(0.28 * standard_pressure(HEIGHTS), 3)
#: bits of 0 33 039, the first of which is the most significant
ASCENDING = 1 << 16 - 3


def profile(
    flags=0,
    confidence=80,
    value=REFRACTIVITY,
    height=HEIGHTS,
    level_confidence=90,
    places=(),
    satellite=3,
    transmitter=5,
    time=(2022, 1, 1, 6, 10, 30.5),
    place=(45.0, -10.0),
):
    """Values of the elements of template 3 10 026, in its order; None is missing."""
    values = [satellite, 202, 94, 2, 1, 17, *time, flags, confidence]
    values += [None] * 6 + [401, transmitter] + [None] * 6 + [10.0, *place] + [None] * 3 + [6371000.0, 90.0, 20.0]
    values += [len(places)]
    for latitude, longitude in places:
        values += [latitude, longitude, 90.0, 2]
        for frequency in (1.5e9, 0.0):
            values += [frequency, 6373000.0, 0.01, 13, 0.0001, 13]
        values += [90]
    values += [len(height)]
    for level, refractivity in zip(height, value, strict=True):
        values += [level, refractivity, 13, 0.5, 13, level_confidence]
    values += [1, 5000.0, 50000.0, 250.0, 0.001, 13, 100.0, 1.0, 0.0001, 13, 90]
    return [*values, 0, 50.0, 101300.0, 13, 100.0, 13, 90]


def encoded(subsets, descriptors=(TEMPLATE,), compressed=False, version=36):
    """A message of edition 4, by pybufrkit."""
    message = [
        ["BUFR", 0, 4],
        [0, 0, 94, 0, 0, False, "0000000", 3, 50, 14, version, 0, 2022, 1, 1, 6, 10, 30, ""],
        [0, "00000000", len(subsets), True, compressed, "000000", list(descriptors)],
        [0, "00000000", subsets],
        ["7777"],
    ]
    return Encoder(ignore_declared_length=True).process(json.dumps(message)).serialized_bytes


def written(folder, *messages, name="gpsro.bufr"):
    path = folder / name
    path.write_bytes(b"".join(messages))
    return path


def read(path, said=None):
    return read_tables([path], ERRORS, CYCLE, progress=(said if said is not None else []).append)


def test_a_profile_becomes_refractivity_at_geopotential_heights(tmp_path):
    said = []
    table = read(written(tmp_path, encoded([profile()])), said)
    assert len(table) == len(HEIGHTS) and set(table.variable) == {CODES["refractivity"]}
    np.testing.assert_allclose(table.value, REFRACTIVITY, atol=5e-4, rtol=1e-6)
    np.testing.assert_allclose(table.height, geopotential_height(HEIGHTS, np.full(len(HEIGHTS), 45.0)), atol=2e-3)
    np.testing.assert_allclose(table.pressure, standard_pressure(table.height.astype(float)), rtol=1e-5)
    np.testing.assert_allclose(table.error, Refractivity().error(table.pressure, table.value), rtol=1e-5)
    assert set(table.latitude) == {45.0} and set(table.longitude) == {-10.0}
    assert set(table.report_type) == {3} and set(table.quality) == {2}
    assert set(table.station) == {f"G05{6 * 3600 + 10 * 60 + 30}".encode()}
    assert set(table.time) == {hours_since_1970(CYCLE)}
    np.testing.assert_allclose(table.time_offset, (10 * 60 + 30.5) / 3600, rtol=1e-6)
    assert "1 of 1 radio occultations" in said[0] and "0 of these have impossible values" in said[0]


def test_messages_of_several_wrappers_are_one_file(tmp_path):
    """Two profiles in a message, compressed or not; a satellite's sub-identifier; headings of the GTS between."""
    pair = [profile(transmitter=7), profile(transmitter=8)]
    with_number = encoded([[12, *profile(satellite=269)]], (1016, TEMPLATE), version=43)
    heading = b"\x01\r\r\n123\r\r\nIUTK01 EUMS 010600\r\r\n"
    packed = encoded(pair, compressed=True)
    path = written(tmp_path, heading, encoded(pair), b"\r\r\n\x03", heading, packed, with_number)
    table = read(path)
    assert len(table) == 5 * len(HEIGHTS)
    assert {name[:3] for name in table.station.tolist()} == {b"G05", b"G07", b"G08"}
    assert set(table.report_type) == {3, 269}


@pytest.mark.parametrize("flags", [0, ASCENDING])
def test_rising_and_setting_occultations_are_alike(tmp_path, flags):
    """The flag says how the satellite moves, not how good the profile is; nor does the order of the levels."""
    for order in (1, -1):
        given = profile(flags, height=HEIGHTS[::order], value=REFRACTIVITY[::order])
        table = read(written(tmp_path, encoded([given])))
        assert set(table.quality) == {2}
        up = np.argsort(table.height)
        np.testing.assert_allclose(table.value[up], REFRACTIVITY, atol=5e-4)


@pytest.mark.parametrize(
    ("bit", "mark"), [(1, SUSPECT), (2, 2), (4, SUSPECT), (5, SUSPECT), (6, REJECTED), (7, 2), (8, 2), (14, 2)]
)
def test_flags_of_what_is_not_nominal_are_marks(tmp_path, bit, mark):
    table = read(written(tmp_path, encoded([profile(ASCENDING | 1 << 16 - bit)])))
    assert set(table.quality) == {mark}
    settings = QualitySettings(largest_quality_mark=2, thinning_km=None, withheld=0.0)
    expected = REASONS["quality_mark"] if mark > 2 else REASONS["used"]
    assert set(select(table, settings).rejection) == {expected}


def test_no_confidence_is_a_mark_and_missing_flags_are_none(tmp_path):
    assert set(read(written(tmp_path, encoded([profile(confidence=0)]))).quality) == {REJECTED}
    assert set(read(written(tmp_path, encoded([profile(level_confidence=0)]))).quality) == {REJECTED}
    unknown = profile(flags=None, confidence=None, level_confidence=None)
    assert set(read(written(tmp_path, encoded([unknown]))).quality) == {2}


def test_levels_lie_at_their_tangent_points_where_there_is_one_for_each(tmp_path):
    places = [(45.0 + 0.1 * index, 179.5 + 0.1 * index - 360.0 * (index > 5)) for index in range(len(HEIGHTS))]
    places[3] = (None, None)
    table = read(written(tmp_path, encoded([profile(places=places)])))
    found = list(zip(np.round(table.latitude, 4), np.round(table.longitude, 4), strict=True))
    places[3] = (45.0, -10.0)
    np.testing.assert_allclose(found, places, atol=1e-4)
    table = read(written(tmp_path, encoded([profile(places=places[1:])])))
    assert set(table.latitude) == {45.0}, "of other levels"


def test_what_is_missing_or_impossible_is_left_aside(tmp_path):
    value = list(REFRACTIVITY)
    height = list(HEIGHTS)
    value[0] = None
    height[1] = None
    value[2] = 0.0  # no air
    value[3] = 520.0  # four times what it may be
    height[4] = 45000.0  # above all states
    height[5] = -900.0
    said = []
    table = read(written(tmp_path, encoded([profile(value=value, height=height)])), said)
    np.testing.assert_allclose(table.value, REFRACTIVITY[6:], atol=5e-4)
    assert "2 of these have impossible values" in said[0]


@pytest.mark.parametrize(
    "missing", [{"time": (2022, 1, None, 6, 10, 30.0)}, {"time": (2022, 2, 30, 6, 10, 0.0)}, {"place": (None, 10.0)}]
)
def test_a_profile_without_time_or_place_is_left_aside(tmp_path, missing):
    said = []
    table = read(written(tmp_path, encoded([profile(**missing), profile(transmitter=9)])), said)
    assert {name[:3] for name in table.station.tolist()} == {b"G09"}
    assert "1 of 2 radio occultations" in said[0]
    with pytest.raises(ValueError, match=r"alone\.bufr: none of 1 radio occultations has refractivity with its place"):
        read(written(tmp_path, encoded([profile(**missing)]), name="alone.bufr"))


def test_seconds_and_names_of_satellites_may_be_missing(tmp_path):
    given = profile(time=(2022, 1, 1, 6, 0, None), satellite=None, transmitter=None)
    table = read(written(tmp_path, encoded([given])))
    assert set(table.time_offset) == {0.0} and set(table.report_type) == {0} and set(table.station) == {b"G0021600"}


def test_bending_angles_alone_are_named(tmp_path):
    path = written(tmp_path, encoded([profile(height=(), value=(), places=[(45.0, 10.0)])]))
    with pytest.raises(ValueError, match=r"gpsro\.bufr: none of 1 radio .* bending angles alone are not read"):
        read(path)


def test_damaged_and_foreign_files_are_named(tmp_path):
    whole = encoded([profile()])
    with pytest.raises(
        ValueError, match=r"cut\.bufr is truncated: the message at byte \d+ ends at byte \d+.*get it again"
    ):
        read(written(tmp_path, whole, whole[:-100], name="cut.bufr"))
    other = encoded([[45.0, -10.0]], (301021,))
    with pytest.raises(ValueError, match=r"other\.bufr: .* is not a radio occultation, but has the template 301021"):
        read(written(tmp_path, whole, other, name="other.bufr"))
    unknown = whole.replace(bytes([3 << 6 | 10, 26]), bytes([3 << 6 | 63, 250]), 1)
    with pytest.raises(ValueError, match=r"unknown\.bufr: the message at byte 0 cannot be decoded .*as the centre"):
        read(written(tmp_path, unknown, name="unknown.bufr"))
    shorter = whole.replace(b"7777", b"7776")
    with pytest.raises(ValueError, match=r"damaged\.bufr is damaged: the message at byte 0"):
        read(written(tmp_path, shorter, name="damaged.bufr"))


def test_files_of_ncep_bring_their_own_tables(tmp_path):
    path = written(tmp_path, *ncep([profile(places=[(50.0, 5.0)] * len(HEIGHTS)), profile(1 << 16 - 6)]))
    table = read(path)
    assert len(table) == 2 * len(HEIGHTS)
    assert table.latitude[0] == 50.0 and table.latitude[-1] == 45.0
    assert table.quality[0] == 2 and table.quality[-1] == REJECTED
    np.testing.assert_allclose(table.value, np.tile(REFRACTIVITY, 2), atol=5e-4)
    without = written(tmp_path, *ncep([profile()])[1:], name="bare.bufr")
    with pytest.raises(ValueError, match=r"bare\.bufr: the message at byte \d+ cannot be decoded .*063000"):
        read(without)
    group = TableGroupCacheManager.get_table_group()
    assert 363010 not in group.D.descriptors, "nothing of a file's tables is left behind"


def content_of(message):
    """The values in section 4 of a message, which begins behind the only descriptor with its length and a byte."""
    return message[message.index(bytes([3 << 6 | 10, 26])) + 2 + 4 : -4]


def ncep(subsets):
    """Messages as NCEP has them: tables, then profiles with their length in front and filled up to whole bytes.

    The elements are those of template 3 10 026. What is repeated is a sequence of its own (ROSEQ1 to ROSEQ4), after
    one that stands for the number of repetitions.
    """
    group = TableGroupCacheManager.get_table_group()
    sequences = {"360001": ("DRP16BIT", ["101000", "031002"]), "360002": ("DRP8BIT", ["101000", "031001"])}
    elements = {"063000": ("BYTCNT", "BYTES", 0, 0, 16)}

    def members(descriptors):
        found = []
        for descriptor in descriptors:
            if descriptor.id >= 300000:
                found += members(descriptor.members)
            elif descriptor.id >= 200000:
                found.append(str(descriptor.id))
            elif descriptor.id >= 100000:
                name = f"ROSEQ{len(sequences) - 1}"
                number = f"3630{10 + len(sequences)}"
                sequences[number] = (name, ())  # takes the number before those within it
                sequences[number] = (name, members(descriptor.members))
                found += ["360001" if descriptor.factor.id == 31002 else "360002", number]
            else:
                number = f"{descriptor.id:06d}"
                units = descriptor.unit.upper()
                elements[number] = (descriptor.name[:60], units, descriptor.scale, descriptor.refval, descriptor.nbits)
                found.append(number)
        return found

    sequences["363010"] = ("NC003010", members(group.D.lookup(TEMPLATE).members))

    def signed(number, width):
        return f"{'-' if number < 0 else '+'}{abs(number):>{width}}"

    data = bytes([1]) + f"010{'NC003010':<64}".encode() + bytes([len(elements)])
    for number, (name, units, scale, reference, width) in elements.items():
        data += f"{number}{name:<64}{units:<24}{signed(scale, 3)}{signed(reference, 10)}{width:>3}".encode("latin-1")
    data += bytes([len(sequences)])
    for number, (name, content) in sequences.items():
        data += f"{number}{name:<64}".encode() + bytes([len(content)]) + "".join(content).encode()
    descriptors = "103000 031001 000001 000002 000003 101000 031001 300004 105000 031001 300003 205064 101000 031001"
    parts = []
    for values in subsets:
        length = len(content_of(encoded([values] * 8)))  # in bits, of one
        bits = f"{int.from_bytes(content_of(encoded([values])), 'big'):0{8 * -(-length // 8)}b}"[:length]
        bits += f"{-length % 8:08b}" + "1" * (-length % 8)
        part = int(bits, 2).to_bytes(len(bits) // 8, "big")
        parts.append((2 + len(part)).to_bytes(2, "big") + part)
    body = ("063000", "363010", "102000", "031001", "206001", "063255")
    return [
        _message(11, None, [*descriptors.split(), "000030"], [data]),
        _message(3, CYCLE, body, []),
        _message(3, CYCLE, body, parts),
    ]


def test_what_ecmwf_s_library_writes_is_read(tmp_path):
    """Of elements by their names, which shares no code with pybufrkit."""
    eccodes = pytest.importorskip("eccodes")
    handle = eccodes.codes_bufr_new_from_samples("BUFR4")
    levels = len(HEIGHTS)
    eccodes.codes_set(handle, "masterTablesVersionNumber", 36)
    eccodes.codes_set(handle, "dataCategory", 3)
    eccodes.codes_set_array(handle, "inputExtendedDelayedDescriptorReplicationFactor", [levels, levels, 2])
    eccodes.codes_set_array(handle, "inputDelayedDescriptorReplicationFactor", [3] * levels)
    eccodes.codes_set_array(handle, "unexpandedDescriptors", [TEMPLATE])
    values = dict(zip(("year", "month", "day", "hour", "minute", "second"), (2022, 1, 1, 6, 20, 1.25), strict=True))
    values |= {"satelliteIdentifier": 5, "satelliteClassification": 403, "platformTransmitterIdNumber": 11}
    values |= {"radioOccultationDataQualityFlags": ASCENDING, "#1#latitude": -33.5, "#1#longitude": 151.25}
    for index in range(levels):
        values |= {f"#{index + 2}#latitude": -33.0, f"#{index + 2}#longitude": 151.0}
        values |= {f"#{index + 1}#height": HEIGHTS[index]}
        values |= {f"#{2 * index + 1}#atmosphericRefractivity": REFRACTIVITY[index]}
    for key, value in values.items():
        eccodes.codes_set(handle, key, value)
    eccodes.codes_set(handle, "pack", 1)
    table = read(written(tmp_path, eccodes.codes_get_message(handle)))
    np.testing.assert_allclose(table.value, REFRACTIVITY, atol=5e-4)
    np.testing.assert_allclose(table.height, geopotential_height(HEIGHTS, np.full(levels, -33.0)), atol=2e-3)
    assert set(table.station) == {b"E1122801"} and set(table.report_type) == {5} and set(table.quality) == {2}
    assert set(table.longitude) == {151.0}
    np.testing.assert_allclose(table.time_offset, (20 * 60 + 1.25) / 3600, rtol=1e-6)


def test_departures_from_the_state_that_it_was_measured_in_are_those_of_rounding(tmp_path):
    """Written as BUFR, read, checked and compared as the observations of an analysis are."""
    of_level = {"z": standard_geopotential, "t": lambda _: 250.0, "q": lambda pressure: 1e-5 * pressure}
    state = np.zeros((69, *GRID.shape), "f4")
    for index, channel in enumerate(CHANNELS):
        if channel.variable in of_level:
            state[index] = of_level[channel.variable](float(channel.level))
    shape = read(written(tmp_path, encoded([profile()])))
    inside = shape.select(select(shape, QualitySettings(thinning_km=None, withheld=0.0)).rejection == 0)
    operator = ObservationOperator(inside, GRID, torch.float64)
    states = torch.as_tensor(state, dtype=torch.float64)
    measured = ~operator.outside(states).numpy()
    height = HEIGHTS[np.isin(shape.height, inside.height)][measured]
    value = operator(states).numpy()[measured]
    assert len(value) > 10
    quality = QualitySettings(thinning_km=None, withheld=0.0)
    given = [profile(height=height, value=value), profile(ASCENDING | 1 << 16 - 6, height=height, value=1.1 * value)]
    table = select(read(written(tmp_path, encoded(given))), quality)
    found = compare(Case(state, GRID, GRID, table, MinimiserSettings(3, 3, 1e-4), progress=lambda _: None))
    assert len(found.usable) == len(value), "what is flagged is not used"
    departure = found.departure[found.rejection == REASONS["used"]]
    # N to a thousandth; heights in single precision, 1 mm of 7 km, in which N falls by a factor of e
    assert np.abs(departure).max() < 5e-4 + 400 * 2e-3 / 7e3


def test_the_command_decodes_occultations(tmp_path, capsys):
    path = written(tmp_path, encoded([profile(), profile(1 << 16 - 6, transmitter=6)]))
    assert main(["decode", str(path), "-o", str(tmp_path / "out.nc")]) == 0
    assert f"{2 * len(HEIGHTS)} data, of which {len(HEIGHTS)} can be used" in capsys.readouterr().out
    assert set(read_observations(tmp_path / "out.nc").quality) == {2, REJECTED}


def test_the_network_is_one_of_tables():
    network = NETWORKS["gnssro"]
    assert network.checked
    assert network.own_files({"path": "gdas.%Y%m%d.t%Hz.bufr_d"}, CYCLE) == ["gdas.20220101.t06z.bufr_d"]


def test_the_network_is_configured_and_planned_as_others_are(config):
    config["observations"]["occultations"] = {
        **CHECKED,
        "source": "gnssro",
        "path": "in/gdas.%Y%m%d.t%Hz.gpsro.bufr_d",
        "quality": CHECKED["quality"] | {"thinning_km": 300.0, "superobbing": True},
    }
    config["experiments"] = {"3dvar": {**config["experiments"]["3dvar"], "observations": "occultations"}}
    check_schema(config)
    plan = Plan(config).observations
    assert plan.checked() == ["occultations"] == plan.of_source("gnssro")
    assert plan.decoded_from("occultations", "20090427T06") == ["in/gdas.20090427.t06z.gpsro.bufr_d"]
    assert "results/observations/occultations/decoded/20090427T06.nc" in plan.decoded("occultations", "20090427")
    assert "gnssro" in (ROOT / "workflow" / "rules" / "observations.smk").read_text(), "a rule reads it"
