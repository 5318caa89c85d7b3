"""Intervals that can be, that cover what they should, and p-values that know how many they are."""

import numpy as np
import pandas as pd
import pytest
from lora_envar.fields.state import HEADLINE
from lora_envar.verification.means import common_times, forecast_errors, mean_errors
from lora_envar.verification.resampling import LEAST_CYCLES, blocks_for, resampling_weights
from lora_envar.verification.results import nothing_to_compare, page
from lora_envar.verification.score import COLUMNS
from lora_envar.verification.significance import COLUMNS as COMPARED
from lora_envar.verification.significance import compare, compare_series, interval
from scipy.signal import lfilter
from scipy.stats import false_discovery_control

SERIES = 800


def autoregressive(cycles, correlation, random):
    """Processes of first order with unit variance, (cycles, SERIES)."""
    noise = random.standard_normal((cycles, SERIES)) * np.sqrt(1 - correlation**2)
    noise[0] /= np.sqrt(1 - correlation**2)
    return lfilter([1], [1, -correlation], noise, axis=0)


def pair(cycles, correlation, seed=5):
    """Paired errors, the first 20 % smaller on average; what the weather does to both is most of their variance."""
    random = np.random.default_rng(seed)
    weather = autoregressive(cycles, correlation, random)
    first, second = (10 + weather + 0.5 * autoregressive(cycles, correlation, random) for _ in range(2))
    return 0.8 * first, second


@pytest.mark.parametrize(("cycles", "correlation"), [(32, 0.0), (32, 0.5), (32, 0.8), (80, 0.0), (80, 0.5), (80, 0.8)])
def test_intervals_of_a_ratio_cover_it_as_often_as_they_say(cycles, correlation):
    """Nominal 95 %; of 800 series the share has a standard deviation of 0.8 %."""
    table = compare_series(*pair(cycles, correlation), samples=400, seed=1)
    covered = ((table.percent_low <= -20) & (-20 <= table.percent_high)).mean()
    assert 0.92 <= covered <= 0.98
    covered = ((table.ci_low <= -2) & (-2 <= table.ci_high)).mean()
    assert 0.92 <= covered <= 0.98


@pytest.mark.parametrize(("cycles", "correlation"), [(8, 0.0), (8, 0.5), (16, 0.0), (16, 0.5), (16, 0.8)])
def test_intervals_of_a_few_cycles_are_a_little_too_narrow_or_too_wide(cycles, correlation):
    table = compare_series(*pair(cycles, correlation), samples=400, seed=1)
    assert 0.88 <= ((table.percent_low <= -20) & (-20 <= table.percent_high)).mean() <= 0.995


@pytest.mark.parametrize("cycles", [2, LEAST_CYCLES - 1])
def test_fewer_cycles_decide_nothing(cycles):
    """Two cycles whose differences are alike by chance would seem to be certain."""
    first, second = pair(cycles, 0.0)
    table = compare_series(first, second, samples=100, seed=1)
    assert table[["ci_low", "ci_high", "percent_low", "percent_high"]].isna().all(axis=None)
    assert (table.p_value == 1.0).all()
    np.testing.assert_allclose(table.percent, 100 * (first.mean(0) / second.mean(0) - 1))
    assert interval(table.percent_low[0], table.percent_high[0]) == "no interval"
    assert np.isfinite(compare_series(*pair(LEAST_CYCLES, 0.0), samples=100, seed=1)).all(axis=None)


def test_the_level_of_the_test_is_kept_where_nothing_differs():
    first, second = pair(80, 0.5)
    table = compare_series(first / 0.8, second, samples=400, seed=1)
    assert 0.02 <= (table.p_value < 0.05).mean() <= 0.08


def test_an_error_falls_by_no_more_than_all_of_it():
    """A reference that varies by half of its mean: moved by the difference alone, the interval reached -107 %."""
    random = np.random.default_rng(3)
    reference = 10 * np.exp(0.5 * random.standard_normal((40, 5)).cumsum(axis=0) / np.sqrt(np.arange(1, 41))[:, None])
    table = compare_series(0.06 * reference * np.exp(0.1 * random.standard_normal((40, 5))), reference, 500, 1)
    assert (table.percent_low > -100).all()
    assert ((table.percent_low < table.percent) & (table.percent < table.percent_high)).all()
    assert (table.percent_high < -90).all(), "numerator and denominator vary together"


def test_interval_and_p_value_say_the_same():
    first, second = pair(32, 0.3)
    table = compare_series(first / 0.8 * 1.02, second, samples=1000, seed=1)
    excludes = (table.percent_low > 0) | (table.percent_high < 0)
    assert 0.1 < excludes.mean() < 0.9
    assert (excludes == (table.p_value < 0.05)).mean() > 0.95, "but for the skewness of what is resampled"


def test_blocks_are_longer_where_the_series_remember_longer():
    lengths = [blocks_for(autoregressive(80, phi, np.random.default_rng(1))[:, :100]).length for phi in (0.0, 0.8)]
    assert lengths[0].mean() < 3 < 6 < lengths[1].mean()
    assert max(length.max() for length in lengths) <= 80 // 3


def test_a_sample_is_made_of_blocks_on_a_circle():
    weights = resampling_weights(10, 4, 500, np.random.default_rng(1))
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    np.testing.assert_allclose(weights.mean(axis=0), 0.1, atol=0.02)


def test_series_that_are_equal_differ_by_nothing():
    series = pair(32, 0.3)[1][:, :3]
    table = compare_series(series, series, 200, 1)
    assert (table.percent == 0).all()
    assert (table.p_value == 1).all()


def scores(series: dict, start="2009-01-01", kind="analysis"):
    """A table of scores, by experiment (cycles, 10) for the headline channels."""
    rows = []
    for name, (begin, values) in series.items():
        for cycle, row in enumerate(values):
            stamp = pd.Timestamp(start) + pd.Timedelta(6 * (begin + cycle), "h")
            for channel, value in zip(HEADLINE, row, strict=True):
                letters = channel.rstrip("0123456789") if channel not in ("u10", "v10", "t2m") else channel
                level = channel[len(letters) :]
                where = [letters, int(level) if level else None, "global", "rmse", value, "K"]
                rows.append([name, f"{stamp:%Y-%m-%dT%H}", kind, 24 if kind == "forecast" else 0, *where])
    return pd.DataFrame(rows, columns=COLUMNS).astype({"level": "Int64"})


def test_p_values_of_a_table_are_adjusted_for_their_number():
    random = np.random.default_rng(4)
    base = 10 + random.standard_normal((40, 10))
    others = {
        name: (0, base + 0.3 * random.standard_normal((40, 10)) - shift) for name, shift in (("a", 0.1), ("b", 0))
    }
    table = compare(scores({"base": (0, base), **others}), ["base"], 500, 1)
    assert list(table.columns) == list(COMPARED)
    np.testing.assert_allclose(table.p_adjusted, false_discovery_control(table.p_value))
    assert (table.p_adjusted >= table.p_value).all()
    assert (table.p_adjusted > table.p_value).any()


def test_a_real_difference_is_found_with_sign_and_size():
    random = np.random.default_rng(1)
    base = 10 + random.standard_normal((60, 10))
    table = compare(scores({"base": (0, base), "other": (0, base - 0.5)}), ["base"], 2000, 1)
    np.testing.assert_allclose(table.mean_difference, -0.5)
    np.testing.assert_allclose(table.percent, -5, atol=0.2)
    assert (table.p_adjusted < 0.01).all()
    np.testing.assert_allclose(table.blocks, table.n / table.block_cycles)


def test_means_side_by_side_are_over_common_cycles():
    """The second half of the weather is worse: a mean over all cycles would blame whoever ran through it."""
    weather = np.repeat([1.0, 3.0], 20)[:, None] * np.ones(10)
    table = scores({"long": (0, weather), "short": (0, 1.1 * weather[:20])})
    (means,) = mean_errors(table, {"long": "20090101T00", "short": "20090101T00"})
    assert list(means.errors) == ["long", "short"]
    assert (means.cycles, means.first, means.last) == (20, "2009-01-01T00", "2009-01-05T18")
    np.testing.assert_allclose(means.errors.long, 1.0)
    np.testing.assert_allclose(means.errors.short, 1.1)


def test_disjoint_periods_get_tables_of_their_own():
    values = np.ones((8, 10))
    table = scores({"early": (0, values), "late": (20, values), "also_late": (22, values)})
    assert [names for names, _ in common_times(table)] == [["early"], ["late", "also_late"]]
    first = dict.fromkeys(("early", "late", "also_late"), "20090101T00")
    assert [means.cycles for means in mean_errors(table, first)] == [8, 6]


def test_forecasts_are_compared_from_common_starts():
    values = np.repeat([1.0, 5.0], 4)[:, None] * np.ones(10)
    table = scores({"a": (0, values), "b": (0, values[:4])}, kind="forecast")
    errors = forecast_errors(table, ["b", "a"], ["z500"])
    assert list(errors) == ["channel", "lead_hours", "starts", "b", "a"]
    assert errors.iloc[0].tolist() == ["z500", 24, 4, 1.0, 1.0]


@pytest.mark.parametrize("references", [[], ["early"]])
def test_without_a_pair_there_is_a_page_that_says_so(references):
    values = 1 + np.random.default_rng(1).random((8, 10))
    table = scores({"early": (0, values), "late": (20, values)})
    compared = compare(table, references, 100, 1)
    assert list(compared.columns) == list(COMPARED)
    assert compared.empty
    means = mean_errors(table, {"early": "20090101T00", "late": "20090101T00"})
    costs = pd.DataFrame(columns=["evaluations", "finetuning", "analysis", "forecast"])
    text = page("Title", means, compared, costs, [nothing_to_compare(references)], [])
    assert "Nothing is compared" in text
    assert text.count("## Analysis RMSE") == 2
    assert "## Against" not in text
