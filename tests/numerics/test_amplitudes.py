"""Amplitudes that calibrate themselves: a linear Gaussian world of known variances, and worlds that tell nothing."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from lora_envar.analysis.amplitudes import (
    COMMON,
    LARGEST_FACTOR,
    LARGEST_STEP,
    Amplitude,
    Statistic,
    read_amplitudes,
    write_amplitudes,
)
from lora_envar.analysis.calibration import LARGEST_COMMON, Calibration
from lora_envar.analysis.minimisation import MinimiserSettings, minimise
from lora_envar.analysis.variational import CostFunction
from lora_envar.background.background_error import BackgroundError, amplified
from lora_envar.fields.seeds import generator

SETTINGS = MinimiserSettings(30, 20, 1e-4)
SIZES = {"smooth": 200, "rough": 240}
DATA = 1000


def quiet(_):
    return None


def drawn(*shape, seed):
    return torch.randn(*shape, dtype=torch.float64, generator=generator(seed))


class Patterns(BackgroundError):
    """Increments of a vector: columns of a matrix times the control vector, by part."""

    def __init__(self, roots, parts):
        self.control_size = roots.shape[1]
        self.roots = roots
        self._parts = parts

    def increment(self, control):
        return self.roots @ control

    def parts(self):
        return self._parts


ORTHOGONAL = torch.linalg.qr(drawn(DATA, 400, seed=1)).Q
#: two parts, of patterns that are orthogonal but for forty that both have
MODEL = Patterns(
    torch.cat([2.0 * ORTHOGONAL[:, :200], 3.0 * ORTHOGONAL[:, 160:]], dim=1),
    {"smooth": slice(200), "rough": slice(200, None)},
)
OPERATOR = torch.linalg.qr(drawn(DATA, DATA, seed=3)).Q
TYPES = np.repeat([120, 220], DATA // 2)


def innovation(variances, cycle, errors=1.0):
    """Departures of a background whose error has the parts' variances times these; errors of 1 are as declared."""
    true = amplified(MODEL, dict(zip(SIZES, variances, strict=True)), OPERATOR)
    noise = torch.as_tensor(errors) * drawn(DATA, seed=2000 + cycle)
    return OPERATOR @ true.increment(drawn(MODEL.control_size, seed=1000 + cycle)) + noise


def cost_of(departures, calibration, model=MODEL):
    errors = torch.as_tensor(calibration.error_factor(TYPES[: len(departures)]), dtype=torch.float64)
    model = calibration.amplified(model, OPERATOR)
    background = torch.zeros(DATA, dtype=torch.float64)

    def observe(state):
        return OPERATOR[: len(departures)] @ state

    return CostFunction(model, 1.0, background, lambda state: state, observe, departures, errors)


def cycled(departures, start=1.0, of_observations=False, model=MODEL):
    """The amplitudes after some cycles of innovations, from a variance for all to start with."""
    amplitudes = {part: Amplitude(variance=start) for part in model.parts()}
    course = []
    for cycle, values in enumerate(departures):
        calibration = Calibration(amplitudes, of_observations, generator(cycle))
        cost = cost_of(values, calibration, model)
        minimum = minimise(cost, cost.zero(), SETTINGS, quiet)
        amplitudes = calibration.updated(cost, minimum, TYPES[: len(values)], SETTINGS, quiet)
        course.append({part: amplitude.variance for part, amplitude in amplitudes.items()})
    return amplitudes, course


def mean(course, part, last=50):
    return float(np.exp(np.mean([np.log(row[part]) for row in course[-last:]])))


@pytest.mark.parametrize("start", [1 / 16, 1.0, 16.0])
def test_known_variances_are_found_whatever_the_start(start):
    """Of both parts apart, within 5 %: the mean over the cycles after those that forget the start."""
    _, course = cycled([innovation((4.0, 0.5), cycle) for cycle in range(60)], start)
    assert 4.0 / 1.5 < course[8]["smooth"] < 4.0 * 1.5
    assert 0.5 / 2.0 < course[8]["rough"] < 0.5 * 2.0
    assert mean(course, "smooth") == pytest.approx(4.0, rel=0.05)
    assert mean(course, "rough") == pytest.approx(0.5, rel=0.05)
    assert mean(course, COMMON) == pytest.approx(1.0, rel=0.05), "where the structure is right, both agree"


def test_errors_of_each_type_of_report_are_found_too():
    factors = np.repeat([1.5, 0.8], DATA // 2)
    departures = [innovation((2.0, 1.0), cycle, factors) for cycle in range(60)]
    _, course = cycled(departures, of_observations=True)
    assert mean(course, "reports 120") == pytest.approx(1.5**2, rel=0.05)
    assert mean(course, "reports 220") == pytest.approx(0.8**2, rel=0.05)
    assert mean(course, "smooth") == pytest.approx(2.0, rel=0.08)


def test_expectations_are_the_traces():
    """T_k and F_k, averaged over noise, against the matrices that they are traces of."""
    variances = {"smooth": 2.0, "rough": 0.7}
    amplitudes = {part: Amplitude(variance=variance) for part, variance in variances.items()}
    found = []
    for seed in range(30):
        calibration = Calibration(amplitudes, False, generator(seed))
        cost = cost_of(innovation((1.0, 1.0), 0), calibration)
        updated = calibration.updated(cost, minimise(cost, cost.zero(), SETTINGS, quiet), TYPES, SETTINGS, quiet)
        assert list(updated) == ["smooth", "rough", COMMON]
        found.append([(a.statistic.observed, a.statistic.expected, a.statistic.sensitivity) for a in updated.values()])
    covariances = {}
    for part, where in MODEL.parts().items():
        root = OPERATOR @ MODEL.roots[:, where]
        covariances[part] = variances[part] * root @ root.T
    inverse = torch.linalg.inv(sum(covariances.values()) + torch.eye(DATA, dtype=torch.float64))
    departures = innovation((1.0, 1.0), 0)
    for row, covariance in zip(np.mean(found, axis=0)[:2], covariances.values(), strict=True):
        gain = covariance @ inverse
        weighted = inverse @ departures
        whole = sum(covariances.values()) @ inverse
        assert row[0] == pytest.approx((weighted @ covariance @ weighted).item(), rel=1e-2)
        assert row[1] == pytest.approx(gain.trace().item(), rel=0.03)
        assert row[2] == pytest.approx((gain @ whole).trace().item(), rel=0.05)


def test_where_the_structure_is_wrong_the_whole_has_the_size_of_the_innovations():
    """Errors are small where they are well observed, as cycles leave them: the likelihood is ruled by these directions.

    The mean square error of analyses is known here in closed form, and 2 J / p = 1 has the smaller one.
    """
    scales = torch.logspace(1.0, -0.7, 400, dtype=torch.float64)
    model = Patterns(ORTHOGONAL * scales, {"static": slice(None)})
    true = scales * torch.linspace(0.3, 3.0, 400, dtype=torch.float64)

    def departures(cycle):
        noise = drawn(DATA, seed=2000 + cycle)
        return OPERATOR @ (ORTHOGONAL @ (true * drawn(400, seed=1000 + cycle))) + noise

    def error(variance):
        kept = 1 / (1 + variance * scales.square())
        return (kept.square() * true.square() + (1 - kept).square()).sum().item()

    _, course = cycled([departures(cycle) for cycle in range(60)], model=model)
    variance = mean(course, "static")
    common = mean(course, COMMON)

    def consistency(variance):
        costs = [minimum_of(departures(cycle), variance, model) for cycle in range(100, 140)]
        return 2 * np.mean(costs) / DATA

    assert consistency(variance) == pytest.approx(1.0, rel=0.02)
    assert consistency(variance / common) > 1.05
    assert 1.2 < common < LARGEST_COMMON
    assert error(variance) < 0.97 * error(variance / common)


def minimum_of(departures, variance, model):
    """The cost at the minimum, with this variance for all parts."""
    amplitudes = {part: Amplitude(variance=variance) for part in model.parts()}
    cost = cost_of(departures, Calibration(amplitudes, False, generator(0)), model)
    return minimise(cost, cost.zero(), SETTINGS, quiet).cost_end


@pytest.mark.parametrize("errors, limit", [(3.0, LARGEST_COMMON), (0.3, 1 / LARGEST_COMMON)])
def test_errors_of_observations_that_are_declared_wrongly_have_a_limited_effect(errors, limit):
    """Nothing that the background's error explains makes 2 J / p one; the likelihood's variance is left as it is."""
    _, course = cycled([innovation((1.0, 1.0), cycle, errors) for cycle in range(40)])
    assert 0.7 < np.log(course[-1][COMMON]) / np.log(limit) < 1.0 + 1e-9
    likely = {part: mean(course, part, last=10) / mean(course, COMMON, last=10) for part in SIZES}
    # the noise that is not declared looks like a variance of the parts: (r^2 - 1) / 4 and / 9
    assert likely["smooth"] == pytest.approx(max(1 + (errors**2 - 1) / 4, 0.0), rel=0.3)
    assert likely["rough"] == pytest.approx(max(1 + (errors**2 - 1) / 9, 0.0), rel=0.3)


def test_without_data_a_variance_returns_to_what_was_fitted():
    amplitude = Amplitude(variance=16.0, information=50.0)
    amplitudes = {"smooth": amplitude, "rough": replace(amplitude, variance=0.2), COMMON: Amplitude(2.0, 2.0, 50.0)}
    for cycle in range(200):
        amplitudes = Calibration(amplitudes, False, generator(cycle)).without_data()
    assert list(amplitudes) == ["smooth", "rough", COMMON]
    assert all(left.variance == pytest.approx(1.0, rel=0.01) for left in amplitudes.values())


def test_few_data_move_it_little_and_cannot_carry_it_away():
    """One datum a cycle, a hundred times as far off as it should be: a variance ten thousand times as large fits it."""
    _, course = cycled([100.0 * innovation((1.0, 1.0), cycle)[:1] for cycle in range(60)])
    assert all(0.5 < row[part] < 20.0 for row in course for part in SIZES)


def test_biased_data_lead_to_a_limit_and_back():
    """A bias of ten standard deviations for ever; afterwards it is forgotten."""
    biased = [innovation((1.0, 1.0), cycle) + 10.0 for cycle in range(20)]
    _, course = cycled(biased)
    assert max(row[part] for row in course for part in SIZES) <= LARGEST_FACTOR
    _, course = cycled(biased + [innovation((1.0, 1.0), cycle) for cycle in range(60)])
    assert mean(course, "smooth", last=20) == pytest.approx(1.0, rel=0.15)


def test_no_cycle_changes_a_variance_by_more_than_the_largest_step():
    far = Statistic(observed=1e9, expected=50.0, sensitivity=40.0, sampling_variance=80.0, data=100)
    assert Amplitude().updated(far).variance < LARGEST_STEP
    assert Amplitude().updated(replace(far, observed=0.0)).variance > 1 / LARGEST_STEP
    assert Amplitude().updated(replace(far, sensitivity=-1.0)).variance == 1.0, "a trace that is noise says nothing"


def test_the_state_survives_its_file(tmp_path):
    """What a restart reads is what the run without one has, to the last digit that counts."""
    departures = [innovation((4.0, 0.5), cycle) for cycle in range(3)]
    amplitudes, _ = cycled(departures)
    write_amplitudes(tmp_path / "amplitudes.csv", amplitudes)
    read = read_amplitudes(tmp_path / "amplitudes.csv")
    assert list(read) == list(amplitudes)
    for part, amplitude in read.items():
        assert vars(amplitude.statistic) == pytest.approx(vars(amplitudes[part].statistic), rel=1e-9)
        assert amplitude.variance == pytest.approx(amplitudes[part].variance, rel=1e-9)
        assert amplitude.cycles == amplitudes[part].cycles
    write_amplitudes(tmp_path / "again.csv", read)
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "amplitudes.csv").read_bytes()
    assert read_amplitudes(None) == {}
    write_amplitudes(tmp_path / "none.csv", {"static": Amplitude()})
    assert read_amplitudes(tmp_path / "none.csv") == {"static": Amplitude()}
