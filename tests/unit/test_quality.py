"""Quality control: every check rejects what it is for, and nothing else; withheld stations take no part."""

import numpy as np
import pytest
from lora_envar.observations.quality import DepartureChecks, QualitySettings, check_departures, select, summary
from lora_envar.observations.standard_atmosphere import standard_geopotential
from lora_envar.observations.table import CODES, REASONS, REJECTIONS, Observations

ALL = QualitySettings(withheld=0.0)


def table(**columns):
    size = len(columns["value"])
    defaults = {
        "variable": np.full(size, CODES["t"]),
        "pressure": np.full(size, 500.0),
        "latitude": np.linspace(-60, 60, size),
        "longitude": np.linspace(0, 300, size),
        "error": np.ones(size),
        "station": [f"S{index}" for index in range(size)],
        "report_type": np.full(size, 131),
        "quality": np.full(size, 2),
    }
    return Observations.build(**{**defaults, **columns})


def reasons(table):
    return [REJECTIONS[code] for code in table.rejection]


def test_marks_limits_blacklist_and_station_height():
    codes = [CODES[name] for name in ("t", "t", "t", "t2m", "t2m", "z", "q")]
    given = table(
        value=[250.0, 250.0, 400.0, 280.0, 280.0, 9.80665 * 9000.0, 0.001],
        variable=codes,
        pressure=[500, 500, 500, np.nan, np.nan, 500, 1200],
        elevation=[0, 0, 0, 1500, 100, 0, 0],
        quality=[2, 9, 2, 2, 2, 2, 2],
        station=["A", "B", "C", "D", "BAD", "F", "G"],
    )
    found = select(given, QualitySettings(withheld=0.0, blacklist=("BAD",), highest_station=750.0))
    assert reasons(found) == [
        "used",
        "quality_mark",
        "gross_limits",
        "station_height",
        "blacklist",
        "gross_limits",
        "outside_of_levels",
    ]
    assert "gross_limits" in summary(found)


def test_standard_atmosphere():
    assert standard_geopotential(np.array([500.0, 100.0])) / 9.80665 == pytest.approx([5574, 16180], abs=5)


def test_of_repeated_reports_the_nearest_in_time_stays():
    given = table(
        value=[250.0, 251.0, 252.0, 253.0],
        latitude=[10.0] * 4,
        longitude=[20.0] * 4,
        station=["A", "A", "A", "B"],
        time_offset=[-0.4, 0.1, 0.3, 0.4],
    )
    assert reasons(select(given, ALL)) == ["duplicate", "used", "duplicate", "used"]


def ascent():
    """A dry sounding in hydrostatic balance: temperature at 21 levels, height at every second."""
    pressure = np.linspace(1000.0, 200.0, 21)
    kelvin = 288.0 * (pressure / 1000.0) ** 0.19
    layers = 287.05 * (kelvin[1:] + kelvin[:-1]) / 2 * -np.diff(np.log(pressure))
    height = 1000.0 + np.concatenate([[0.0], np.cumsum(layers)])
    size = len(pressure) + len(pressure[::2])
    return table(
        value=np.concatenate([kelvin, height[::2]]),
        variable=np.repeat([CODES["t"], CODES["z"]], [21, 11]),
        pressure=np.concatenate([pressure, pressure[::2]]),
        latitude=np.full(size, 10.0),
        longitude=np.full(size, 10.0),
        station=["RS"] * size,
        report_type=np.full(size, 120),
    )


@pytest.mark.parametrize(
    ("row", "change", "rejected"),
    [
        (0, 0.0, []),
        (26, 1500.0, [26]),  # one height, in contradiction to the layers on both sides
        (21, 1500.0, [21]),  # the lowest, which has one layer alone
        (9, 25.0, [9, 10]),  # a temperature within a layer; the next level is colder than dry ascent from it
        (9, -25.0, [9]),
        (10, -40.0, [10]),  # at a level with a height: layers on both sides are too thin
    ],
)
def test_ascents_are_hydrostatic_and_not_superadiabatic(row, change, rejected):
    given = ascent()
    value = given.value.copy()
    value[row] += change
    found = select(given.with_columns(value=value), ALL)
    assert np.flatnonzero(found.rejection == REASONS["vertical_consistency"]).tolist() == rejected
    others = np.delete(found.rejection, rejected)
    assert (others == 0).all()


def network(stations=2000, times=(0, 6)):
    random = np.random.default_rng(1)
    count = stations * len(times) * 2
    station = np.tile(np.repeat(np.arange(stations), 2), len(times))
    latitude, longitude = np.degrees(np.arcsin(random.uniform(-1, 1, stations))), random.uniform(0, 360, stations)
    return table(
        value=np.tile([250.0, 25.0], stations * len(times)),
        variable=np.tile([CODES["t"], CODES["u"]], stations * len(times)),
        latitude=latitude[station],
        longitude=longitude[station],
        time=np.repeat(times, stations * 2),
        time_offset=random.uniform(-0.5, 0.5, count),
        station=[f"S{number}" for number in station],
    )


def test_stations_are_withheld_whole_afresh_and_by_themselves():
    given, settings = network(), QualitySettings(withheld=0.15, seed=3)
    held = select(given, settings).rejection == REASONS["withheld"]
    by_station = held.reshape(2, 2000, 2)
    assert (by_station[:, :, 0] == by_station[:, :, 1]).all()
    drawn = by_station[:, :, 0]
    assert drawn.mean() == pytest.approx(0.15, abs=0.02)
    assert (drawn[0] & drawn[1]).mean() == pytest.approx(0.15**2, abs=0.01), "one time says nothing of the next"
    assert (select(given, settings).rejection == select(given, settings).rejection).all()
    fewer = given.select(np.arange(len(given)) % 4 < 2)  # without half of the stations
    assert (select(fewer, settings).rejection == select(given, settings).rejection[np.arange(len(given)) % 4 < 2]).all()
    assert (select(given, QualitySettings(withheld=0.15, seed=4)).rejection != select(given, settings).rejection).any()


@pytest.mark.parametrize("superobbing", [False, True])
def test_thinning_leaves_one_datum_a_cell(superobbing):
    given = network(times=(0,))
    found = select(given, QualitySettings(withheld=0.15, thinning_km=1000.0, superobbing=superobbing))
    kept = found.rejection == 0
    wind = kept & (given.variable == CODES["u"])
    assert 400 < wind.sum() < 620, "the sphere has 510 such cells"
    assert set(reasons(found)) == {"used", "thinned", "withheld"}
    if superobbing:
        assert not np.array_equal(found.latitude[kept], given.latitude[kept])
        assert np.array_equal(found.latitude[~kept], given.latitude[~kept])
        assert set(found.value[kept]) == {250.0, 25.0}
    else:
        assert np.array_equal(found.latitude, given.latitude)


def test_thinning_keeps_the_nearest_in_time_and_superobbing_the_mean():
    given = table(
        value=[250.0, 254.0],
        latitude=[10.0, 10.2],
        longitude=[359.9, 0.3],
        time_offset=[0.3, -0.1],
    )
    settings = {"withheld": 0.0, "thinning_km": 2000.0}
    # 0 degrees is an edge of cells: the pair is apart, and beside it together
    assert reasons(select(given, QualitySettings(**settings))) == ["used", "used"]
    given = given.with_columns(longitude=np.array([1.0, 1.4], "f4"))
    assert reasons(select(given, QualitySettings(**settings))) == ["thinned", "used"]
    found = select(given, QualitySettings(**settings, superobbing=True))
    assert reasons(found) == ["thinned", "used"]
    assert (found.value[1], found.latitude[1], found.longitude[1]) == pytest.approx((252.0, 10.1, 1.2), abs=1e-5)


CHECKS = DepartureChecks(np.ones(69), background_check=5.0, buddy_check=3.0, buddy_distance_km=500.0)


def test_background_check_allows_k_standard_deviations():
    given = table(value=np.zeros(4), error=np.full(4, 3.0), rejection=[0, 0, REASONS["withheld"], REASONS["thinned"]])
    departure = np.array([24.9, 25.1, -25.1, 1e3])
    found = check_departures(given, departure, np.full(4, 4.0), CHECKS)
    assert [REJECTIONS[code] for code in found] == ["used", "background_check", "background_check", "thinned"]


def test_a_wind_is_rejected_whole():
    codes = [CODES[name] for name in ("u", "v", "u", "v", "u10", "t")]
    given = table(
        value=np.zeros(6),
        variable=codes,
        station=["A", "A", "B", "B", "A", "A"],
        latitude=[10.0, 10.0, 20.0, 20.0, 10.0, 10.0],
        longitude=np.full(6, 5.0),
        pressure=[500, 500, 500, 500, np.nan, 500],
    )
    found = check_departures(given, np.array([1.0, 99.0, 1.0, 1.0, 1.0, 1.0]), np.ones(6), CHECKS)
    assert [REJECTIONS[code] for code in found] == ["background_check"] * 2 + ["used"] * 4


def test_buddies_reject_what_stands_alone_and_save_what_does_not():
    size = 8
    given = table(
        value=np.zeros(size),
        latitude=np.linspace(50, 51, size),
        longitude=np.linspace(10, 11, size),
        error=np.full(size, 0.1),
    )
    departure = np.full(size, 0.2)
    departure[3] = 4.0
    alone = check_departures(given, departure, np.ones(size), CHECKS)
    assert [REJECTIONS[code] for code in alone] == ["used"] * 3 + ["buddy_check"] + ["used"] * 4
    storm = check_departures(given, np.full(size, 4.0), np.ones(size), CHECKS)
    assert (storm == 0).all()
    far = given.with_columns(latitude=np.linspace(-80, 80, size).astype("f4"))
    assert (check_departures(far, departure, np.ones(size), CHECKS) == 0).all(), "no buddies, no verdict"
    withheld = given.with_columns(rejection=np.where(np.arange(size) == 3, 0, REASONS["withheld"]).astype("i1"))
    assert check_departures(withheld, departure, np.ones(size), CHECKS)[3] == 0, "withheld data are no buddies"


def test_data_placed_by_heights_are_thinned_by_themselves_and_keep_their_heights():
    height = np.array([5500.0, 5700.0, np.nan, np.nan])
    given = table(
        value=[250.0, 254.0, 252.0, 258.0],
        pressure=[505.4, 491.8, 500.0, 490.0],
        height=height,
        latitude=np.full(4, 10.0),
        longitude=np.full(4, 1.0),
        time_offset=[0.1, 0.2, 0.0, 0.3],
    )
    settings = {"withheld": 0.0, "thinning_km": 500.0}
    plain = select(given, QualitySettings(**settings))
    assert reasons(plain) == ["used", "thinned", "used", "thinned"]
    means = select(given, QualitySettings(**settings, superobbing=True))
    assert means.value[[0, 2]].tolist() == [252.0, 255.0]
    np.testing.assert_array_equal(means.height[[0, 2]], [5600.0, np.nan])


def test_ascents_that_are_placed_by_heights_are_not_checked_by_pressures_they_do_not_have():
    given = ascent()
    value = given.value.copy()
    value[9] -= 25.0
    spoilt = given.with_columns(value=value)
    assert (select(spoilt, ALL).rejection != 0).any()
    by_height = spoilt.with_columns(height=np.linspace(500.0, 11000.0, len(given)).astype("f4"))
    assert (select(by_height, ALL).rejection == 0).all()
