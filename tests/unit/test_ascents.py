"""Several balloons of a station, copies of reports: each is judged by itself, and nothing is used twice."""

import numpy as np
import pytest
from lora_envar.observations.ascents import ascent_numbers
from lora_envar.observations.quality import QualitySettings, select
from lora_envar.observations.table import CODES, Observations, concatenate
from test_quality import ascent, reasons, table

ALL = QualitySettings(withheld=0.0)


def drifting(start: float, warmer: float = 0.0, factor: float = 1.0) -> Observations:
    """The ascent of `test_quality`, in an hour and a half and over a degree; of other pressures by a factor."""
    found = ascent()
    rise = (1000.0 - found.pressure) / 800.0
    value = found.value.astype(float)
    value[found.variable == CODES["t"]] += warmer
    if factor != 1.0:  # levels of temperature alone, so that heights need not be moved
        found = found.select(found.variable == CODES["t"])
        value, rise = (column[: len(found)] for column in (value, rise))
        found = found.with_columns(pressure=(found.pressure * factor).astype("f4"))
    return found.with_columns(
        value=value.astype("f4"),
        time_offset=(start + 1.5 * rise).astype("f4"),
        longitude=(10.0 + rise).astype("f4"),
    )


def at_once(table: Observations, start: float) -> Observations:
    """As an ascent without the times of its levels."""
    return table.with_columns(time_offset=np.full(len(table), start, "f4"), longitude=np.full(len(table), 10.0, "f4"))


@pytest.mark.parametrize("starts", [(-2.5, 1.0), (-1.0, 0.0), (0.0, 0.5)])
@pytest.mark.parametrize("drift", [True, False])
def test_two_good_ascents_of_a_station_are_both_used(starts, drift):
    # 15 K apart in levels that alternate: as one profile they would be dry convection all the way up
    one = drifting(starts[0])
    other = drifting(starts[1], warmer=-15.0, factor=0.98)
    if not drift:
        one = at_once(one, starts[0])
        other = at_once(other, starts[1])
    both = concatenate([one, other])
    numbers = ascent_numbers(both, np.ones(len(both), bool))
    assert len(set(numbers[: len(one)])) == len(set(numbers[len(one) :])) == 1
    assert numbers[0] != numbers[-1]
    found = select(both, ALL)
    assert (found.rejection == 0).all()
    mixed = np.random.default_rng(1).permutation(len(both))
    assert (select(both.select(mixed), ALL).rejection == 0).all(), "the order of rows says nothing"


def test_as_one_profile_they_would_contradict_each_other():
    both = concatenate([at_once(drifting(0.0), 0.0), at_once(drifting(0.0, -15.0, 0.98), 0.0)])
    assert "vertical_consistency" in reasons(select(both, ALL))


def test_ascents_at_the_same_levels_are_two_measurements_and_a_copy_is_none():
    one = ascent()
    later = one.with_columns(time_offset=np.full(len(one), 2.0, "f4"))
    assert (select(concatenate([one, later]), ALL).rejection == 0).all()
    copy = one.with_columns(
        latitude=np.full(len(one), 10.06, "f4"), time_offset=np.full(len(one), 0.25, "f4"), pressure=one.pressure - 0.04
    )
    found = reasons(select(concatenate([one, copy]), ALL))
    assert found == ["used"] * len(one) + ["duplicate"] * len(one)


@pytest.mark.parametrize(
    ("one", "other", "duplicate"),
    [
        ((50.06, 10.0), (50.1, 10.0), True),
        ((50.04, 10.0), (50.06, 10.0), True),  # on both sides of where rounding changes
        ((50.0, 359.96), (50.0, 0.0), True),
        ((50.0, 10.0), (50.1, 10.1), True),
        ((50.0, 10.0), (50.2, 10.0), False),
        ((50.0, 359.8), (50.0, 0.0), False),
    ],
)
def test_a_copy_with_a_rounded_position_is_a_duplicate(one, other, duplicate):
    given = table(value=[250.0, 250.0], latitude=[one[0], other[0]], longitude=[one[1], other[1]], station=["A", "A"])
    assert reasons(select(given, ALL)) == ["used", "duplicate" if duplicate else "used"]


def test_what_is_rejected_as_a_copy_rejects_nothing_itself():
    given = table(value=[250.0] * 3, latitude=[50.0, 50.09, 50.18], longitude=[10.0] * 3, station=["A"] * 3)
    assert reasons(select(given, ALL)) == ["used", "duplicate", "used"]


def test_thinning_takes_an_ascent_whole():
    # at the top the first is nearer to the valid time, at the ground the second
    both = concatenate([drifting(-1.6), drifting(0.2)])
    found = select(both, QualitySettings(withheld=0.0, thinning_km=2000.0))
    kept = found.rejection == 0
    assert kept[: len(both) // 2].any()
    assert not kept[len(both) // 2 :].any()


def test_marks_and_values_that_are_none_are_no_data():
    given = table(value=[250.0, np.nan, 9.97e36, 250.0], quality=[2, 2, 2, -127])
    assert reasons(select(given, ALL)) == ["used", "gross_limits", "gross_limits", "quality_mark"]
