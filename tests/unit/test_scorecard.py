"""Scorecards, lead time gained, and the sentences of the report: what was planted is found, and nothing else."""

import numpy as np
import pandas as pd
import pytest
from lora_envar.fields.state import CHANNELS, HEADLINE
from lora_envar.verification.claims import Cell, Claim, claims, headlines
from lora_envar.verification.gate_notes import NOTES, note
from lora_envar.verification.lead_time import gained, lead_times
from lora_envar.verification.score import COLUMNS, REGIONS
from lora_envar.verification.scorecard import SHOWN, draw, scorecard
from lora_envar.verification.significance import COLUMNS as COMPARED

FIRST = {"a": "20090101T00", "b": "20090101T00"}


def scores(factor, cycles=40, kinds=(("analysis", 0), ("forecast", 24)), growth=0.0):
    """RMSE of two experiments, a's `factor(kind, region, channel)` times that of b, with the same weather in both."""
    random = np.random.default_rng(1)
    rows = []
    for cycle in range(cycles):
        start = pd.Timestamp("2009-01-01") + pd.Timedelta(6 * cycle, "h")
        for kind, lead in kinds:
            for region in REGIONS:
                for channel in CHANNELS:
                    error = (10.0 + growth * lead) * (1 + 0.02 * random.standard_normal())
                    stamp = f"{start + pd.Timedelta(lead, 'h'):%Y-%m-%dT%H}"
                    for name, value in (("a", error * factor(kind, region, channel.name)), ("b", error)):
                        value *= 1 + 0.005 * random.standard_normal()
                        where = [channel.variable, channel.level, region, "rmse", value, channel.units]
                        rows.append([name, stamp, kind, lead, *where])
    return pd.DataFrame(rows, columns=COLUMNS).astype({"level": "Int64"})


def test_a_scorecard_finds_what_differs_and_no_more():
    def factor(kind, region, channel):
        return 0.95 if (kind, region, channel) == ("forecast", "north", "t850") else 1.0

    card = scorecard(scores(factor), "a", "b", FIRST, 2000, 1)
    assert len(card) == 2 * len(REGIONS) * len(SHOWN)
    decided = card[card.p_adjusted < 0.05]
    planted = (decided.kind == "forecast") & (decided.region == "north") & (decided.variable == "t")
    assert planted.sum() == 1
    assert decided[planted].percent.item() == pytest.approx(-5.0, abs=0.5)
    assert len(decided) <= 4, "one in twenty of a few may be wrong"


def test_a_scorecard_of_one_common_time_is_empty_and_can_be_drawn(tmp_path):
    card = scorecard(scores(lambda *_: 1.0, cycles=1), "a", "b", FIRST, 50, 1)
    assert card.empty
    draw([tmp_path / "card.svg"], card)
    assert (tmp_path / "card.svg").stat().st_size > 1000


def test_the_same_numbers_give_the_same_figure(tmp_path):
    card = scorecard(scores(lambda *_: 0.9, cycles=4), "a", "b", FIRST, 50, 1)
    for name in ("one", "two"):
        draw([tmp_path / f"{name}.svg", tmp_path / f"{name}.png"], card)
    for ending in ("svg", "png"):
        assert (tmp_path / f"one.{ending}").read_bytes() == (tmp_path / f"two.{ending}").read_bytes()


def test_lead_time_gained_is_the_shift_between_two_curves():
    leads = np.array([0.0, 24.0, 48.0, 96.0])
    reference = 1.0 + leads / 24.0
    hours = gained(reference - 0.5, reference, leads)
    np.testing.assert_allclose(hours[1:], 12.0)
    assert np.isnan(hours[0]), "the reference never errs so little"
    np.testing.assert_allclose(gained(reference + 0.25, reference, leads)[:3], -6.0)
    assert np.isnan(gained(reference, reference[::-1], leads)).all()


def test_lead_times_of_resampled_starts_hold_what_was_planted():
    kinds = (("analysis", 0), ("forecast", 24), ("forecast", 48))
    table = lead_times(scores(lambda *_: 0.9, kinds=kinds, growth=0.5), {"a": "b"}, FIRST, 200, 1)
    assert set(table.channel) == set(HEADLINE)
    at = table[table.lead_hours == 24]
    # 0.9 (10 + 12) is what 10 + 0.5 h gives at 19.6 h
    assert at.gained_hours.to_numpy() == pytest.approx(4.4, abs=0.3)
    # of ten intervals one may miss
    assert ((at.gained_low <= 4.4) & (4.4 <= at.gained_high)).sum() >= 9
    assert (at.starts == 40).all()
    few = lead_times(scores(lambda *_: 0.9, cycles=4, kinds=kinds, growth=0.5), {"a": "b"}, FIRST, 200, 1)
    assert few.gained_hours.notna().any()
    assert few[["gained_low", "gained_high"]].isna().all(axis=None), "four starts give no interval"


def comparison():
    rows = []
    for experiment, reference, percent in (("a", "b", -2.0), ("a", "c", 1.0), ("c", "b", -3.0), ("b", "a", 2.0)):
        for index, channel in enumerate(CHANNELS):
            p = 0.001 if channel.name in HEADLINE[:4] else 0.5
            about = {"experiment": experiment, "reference": reference, "metric": "rmse", "n": 20, "seeds": 1}
            numbers = {"percent": percent * (1 + index / 100), "percent_low": percent - 1, "percent_high": percent + 1}
            rows.append(
                about
                | numbers
                | {"variable": channel.variable, "level": channel.level, "p_adjusted": p, "blocks": 5 + (index > 40)}
            )
    return pd.DataFrame(rows).reindex(columns=list(COMPARED)).astype({"level": "Int64"})


def test_the_experiment_in_question_comes_first_and_no_pair_twice():
    found = claims(comparison(), "c", {"a": "b", "c": "b"})
    assert [(claim.experiment, claim.reference) for claim in found] == [("c", "b"), ("a", "b"), ("a", "c")]
    said = headlines(found, "c", {"a": "b", "c": "b"})
    assert [(claim.experiment, claim.reference) for claim in said] == [("c", "b"), ("a", "b")]
    assert found[0].blocks == "5 to 6"


@pytest.mark.parametrize(
    ("percents", "sentence"),
    [
        ([-0.4, -1.6, 0.3], "better in 2 of 3 variables, by 0.4 to 1.6 %, undecided in 1; 32 cycles, 1 seed"),
        (
            [2.0, -1.0, 1.0],
            "better in 1 of 3 variables, by 1.0 %, worse in 2 of 3 variables, by 1.0 to 2.0 %; 32 cycles, 1 seed",
        ),
        ([0.1, 0.2, 0.3], "undecided in all 3 variables; 32 cycles, 1 seed"),
    ],
)
def test_a_claim_says_how_many_and_how_much(percents, sentence):
    cells = {
        name: Cell(p, p - 1, p + 1, 0.9 if abs(p) < 0.35 else 0.01) for name, p in zip("xyz", percents, strict=True)
    }
    assert Claim("a", "b", cells, 32, 1, "5").sentence() == sentence
    few = Claim("a", "b", cells, 7, 1, "5").sentence()
    assert few.endswith("; 7 cycles, too few to decide anything, 1 seed")


def test_a_difference_that_rounds_to_nothing_has_no_sign():
    assert [str(Cell(value, 0, 0, 1)) for value in (-0.04, 0.04, 0.06)] == ["0.0", "0.0", "+0.1"]


def test_a_cell_says_its_interval_or_that_there_is_none():
    assert Cell(-1.0, -2.0, 0.5, 0.1).words == "-2.0 to +0.5 %, adjusted p = 0.1"
    assert Cell(-1.0, float("nan"), float("nan"), 1.0).words == "no interval, adjusted p = 1"


def test_every_gate_says_what_it_means():
    """Those that the code adds, by the names in it."""
    import re
    from pathlib import Path

    from lora_envar.verification import cycling_gates, gates

    code = "".join(Path(module.__file__).read_text() for module in (gates, cycling_gates))
    named = set(re.findall(r'gates\.add\(\s*[\w".( )]+?,\s*"([^"]+)"', code))
    assert {"convergence", "beats persistence"} <= named
    assert {name for name in named if not note(name)} == set()
    assert note("close to 3dvar") == NOTES["close to"]
    assert note("another") == ""
