"""Refractivity: the formula by hand, its derivatives, and an analysis of nothing else."""

import numpy as np
import pytest
import torch
from cases import GRID, check_adjoint, check_remainder, deviations, quiet
from lora_envar.analysis.assimilate import Case, assimilate
from lora_envar.analysis.minimisation import MinimiserSettings
from lora_envar.background.spectral import GaussianBackgroundError
from lora_envar.fields.state import channel_index
from lora_envar.observations.catalogue import TYPES
from lora_envar.observations.interpolation import Interpolation
from lora_envar.observations.operator import ObservationOperator
from lora_envar.observations.quality import DepartureChecks
from lora_envar.observations.table import REASONS
from test_analysis import gaussian_model
from test_operator import STATE, drawn, perturbation, placed_by_height, rows

REFRACTIVITY = TYPES["refractivity"]
EPSILON = 287.05 / 461.52


def profiles(count=300):
    at_pressure = rows(["refractivity"] * count)
    return at_pressure, placed_by_height(at_pressure)


@pytest.mark.parametrize(
    ("pressure", "kelvin", "humidity", "expected"),
    [
        # e = 0.01 x 1000 / (0.62197 + 0.37803 x 0.01) = 15.981 hPa; 77600 / 288.15 + 3.73e5 x 15.981 / 288.15^2
        (1000.0, 288.15, 0.01, 269.304 + 71.792),
        # dry: 7760 / 200
        (100.0, 200.0, 0.0, 38.8),
        # e = 0.001 x 500 / (0.62197 + 0.00038) = 0.80341 hPa; 38800 / 253 + 3.73e5 x 0.80341 / 253^2
        (500.0, 253.0, 0.001, 153.360 + 4.682),
    ],
)
def test_it_is_what_a_hand_works_out(pressure, kelvin, humidity, expected):
    inputs = {"q": torch.tensor(humidity).double(), "t": torch.tensor(kelvin).double()}
    assert REFRACTIVITY.equivalent(inputs, torch.tensor(pressure).double()).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("by_height", [False, True])
def test_the_operator_passes_the_taylor_and_the_adjoint_test(by_height):
    operator = ObservationOperator(profiles()[by_height], GRID, torch.float64)
    scale = operator.deviation(STATE, deviations())
    check_remainder(lambda state: operator(state) / scale, STATE, perturbation(8))
    check_adjoint(lambda state: operator(state) / scale, STATE, perturbation(8), drawn(len(scale)))


def test_it_is_the_same_at_a_height_and_at_its_pressure():
    at_pressure, at_height = (ObservationOperator(table, GRID, torch.float64)(STATE) for table in profiles())
    # heights stand in single precision, 1 mm at 20 km, and N falls by a factor of e in 7 km
    torch.testing.assert_close(at_height, at_pressure, rtol=2 * 1e-3 / 7e3, atol=0)


def test_deviations_follow_the_partial_derivatives():
    table = profiles()[0]
    operator = ObservationOperator(table, GRID, torch.float64)
    constant = deviations()[:, None, None].expand_as(STATE)
    values = {}
    spreads = {}
    for name in ("t", "q"):
        first = np.full(len(table), channel_index(f"{name}50"))
        at_rows = Interpolation(table, first, np.ones(len(table), bool), GRID, torch.float64)
        values[name] = at_rows(STATE)
        spreads[name] = at_rows(constant)
    pressure = torch.as_tensor(table.pressure).double()
    kelvin = values["t"]
    dry_part = EPSILON + (1.0 - EPSILON) * values["q"]
    vapour_pressure = values["q"] * pressure / dry_part
    by_t = -77.6 * pressure / kelvin**2 - 2.0 * 3.73e5 * vapour_pressure / kelvin**3
    by_q = 3.73e5 / kelvin**2 * pressure * EPSILON / dry_part**2
    expected = ((by_t * spreads["t"]) ** 2 + (by_q * spreads["q"]) ** 2).sqrt()
    torch.testing.assert_close(operator.deviation(STATE, deviations()), expected, rtol=1e-12, atol=0)


def test_an_error_of_geopotential_moves_what_is_placed_by_height():
    """Of z alone: N at a height changes by what N at a height 1 m off differs, and at a pressure not at all."""
    only_z = torch.where(torch.arange(69).ge(4) & torch.arange(69).lt(17), 9.80665, 0.0).double()
    at_pressure, at_height = profiles()
    assert not ObservationOperator(at_pressure, GRID, torch.float64).deviation(STATE, only_z).any()
    found = ObservationOperator(at_height, GRID, torch.float64).deviation(STATE, only_z)
    above, below = (
        ObservationOperator(at_height.with_columns(height=at_height.height + metres), GRID, torch.float64)(STATE)
        for metres in (np.float32(8.0), np.float32(-8.0))
    )
    # two rows among 300 lie within 8 m of a level, where N bends
    ratio = found / ((above - below).abs() / 16.0)
    assert ratio.median().item() == pytest.approx(1.0, abs=1e-4)
    assert ((ratio - 1.0).abs() < 1e-2).float().mean() > 0.98


def test_errors_are_those_of_the_model():
    pressure = np.array([50.0, 500.0, np.sqrt(500.0 * 1000.0), 1000.0, 1050.0])
    value = np.array([18.0, 160.0, 220.0, 340.0, 350.0])
    relative = REFRACTIVITY.error(pressure, value) / value
    assert relative == pytest.approx([0.004, 0.004, 0.012, 0.02, 0.02])


@pytest.mark.parametrize("by_height", [False, True])
def test_an_analysis_of_refractivity_alone_brings_temperature_and_humidity_closer(by_height):
    model, _ = gaussian_model()
    model = GaussianBackgroundError(model.field, deviations())
    truth = STATE
    background = truth + model.increment(drawn(model.control_size, seed=3))
    table = profiles(1500)[by_height]
    observed = ObservationOperator(table, GRID, torch.float64)(truth).numpy()
    error = REFRACTIVITY.error(table.pressure.astype(float), observed)
    noise = error * np.random.default_rng(2).standard_normal(len(error))
    table = table.with_columns(value=(observed + noise).astype("f4"), error=error.astype("f4"))
    spoilt = table.value.copy()
    spoilt[::100] *= 1.5
    checks = DepartureChecks(deviations().numpy(), 5.0, 5.0, 100.0)
    case = Case(
        background.float().numpy(),
        GRID,
        GRID,
        table.with_columns(value=spoilt),
        MinimiserSettings(30, 10, 1e-3),
        checks=checks,
        progress=quiet,
    )
    single = GaussianBackgroundError(gaussian_model(torch.float32)[0].field, deviations().float())
    result = assimilate(case, single, 1.0)
    rejected = result.observations.rejection == REASONS["background_check"]
    assert rejected[::100].mean() > 0.9 and np.delete(rejected, np.s_[::100]).mean() < 0.01
    for name in ("t500", "t850", "q850"):
        channel = channel_index(name)
        before, after = (
            GRID.mean((torch.as_tensor(state)[channel] - truth[channel]).double() ** 2).sqrt()
            for state in (background, result.state)
        )
        assert after < 0.9 * before, f"{name}: {before:.3g} -> {after:.3g}"
