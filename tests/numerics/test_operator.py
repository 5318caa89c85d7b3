"""The observation operator: derivatives, places given by heights, and deviations that go with the derivative."""

import numpy as np
import pytest
import torch
from cases import GRID, atmosphere, check_adjoint, check_remainder, check_taylor, deviations, quiet
from lora_envar.analysis.assimilate import Case, assimilate
from lora_envar.analysis.minimisation import MinimiserSettings
from lora_envar.fields.constants import GRAVITY
from lora_envar.fields.state import CHANNELS, LEVELS
from lora_envar.forecast.model import ForecastModel
from lora_envar.observations.catalogue import CODES, TYPES, at_surface
from lora_envar.observations.observation_type import ObservationType
from lora_envar.observations.operator import ObservationOperator, _Function, outside_of_levels
from lora_envar.observations.places import PressurePlaces
from lora_envar.observations.quality import DepartureChecks
from lora_envar.observations.standard_atmosphere import standard_pressure
from lora_envar.observations.table import REASONS, Observations, concatenate
from lora_envar.observations.window import Window, WindowOperator

STATE = atmosphere()
UPPER_AIR = [name for name, kind in TYPES.items() if not kind.surface]


def rows(names, seed=4, between=(60.0, 950.0)):
    """Data of types anywhere between two pressures, those of the surface without one."""
    draws = np.random.default_rng(seed)
    codes = np.array([CODES[name] for name in names])
    pressure = np.exp(draws.uniform(*np.log(between), len(codes)))
    return Observations.build(
        variable=codes,
        pressure=np.where(at_surface(codes), np.nan, pressure),
        latitude=draws.uniform(-89.0, 89.0, len(codes)),
        longitude=draws.uniform(-180.0, 360.0, len(codes)),
        value=np.zeros(len(codes)),
        error=np.ones(len(codes)),
    )


def placed_by_height(table, state=STATE):
    """The same data, placed by the heights that the pressures have in a state."""
    geopotential = table.with_columns(variable=np.full(len(table), CODES["z"], "i1"))
    height = ObservationOperator(geopotential, GRID, torch.float64)(state).numpy() / GRAVITY
    return table.with_columns(height=height.astype("f4"), pressure=standard_pressure(height).astype("f4"))


def mixed():
    """Data of all types, at pressures, at heights and at the surface, in no order."""
    at_heights = placed_by_height(rows([name for name in UPPER_AIR if name != "z"] * 20, seed=5))
    table = concatenate([rows([*TYPES] * 20), at_heights])
    return table.select(np.random.default_rng(6).permutation(len(table)))


def drawn(*shape, seed=7):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def perturbation(seed):
    """A perturbation of the state that has the size of forecast errors."""
    return deviations()[:, None, None] * drawn(69, *GRID.shape, seed=seed)


def test_it_passes_the_taylor_test():
    operator = ObservationOperator(mixed(), GRID, torch.float64)
    scale = operator.deviation(STATE, deviations())
    observed = operator(STATE) + scale * drawn(len(scale))
    check_taylor(lambda state: ((observed - operator(state)) / scale).square().sum(), STATE, perturbation(8))


def test_what_its_tangent_linear_leaves_is_of_second_order():
    table = mixed()
    operator = ObservationOperator(table.select(np.isfinite(table.height)), GRID, torch.float64)
    scale = operator.deviation(STATE, deviations())
    check_remainder(lambda state: operator(state) / scale, STATE, perturbation(8))


def test_it_has_its_adjoint():
    operator = ObservationOperator(mixed(), GRID, torch.float64)
    scale = operator.deviation(STATE, deviations())
    check_adjoint(lambda state: operator(state) / scale, STATE, perturbation(8), drawn(len(scale)))


@pytest.mark.parametrize("name", [name for name in UPPER_AIR if name != "z"])
def test_a_height_is_the_place_of_its_pressure(name):
    at_pressure = rows([name] * 200)
    at_height = placed_by_height(at_pressure)
    expected = ObservationOperator(at_pressure, GRID, torch.float64)(STATE)
    found = ObservationOperator(at_height, GRID, torch.float64)(STATE)
    # heights stand in single precision, 1 mm at 20 km; nothing changes by its own size within 100 m
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5 * expected.abs().max().item())


def test_rows_keep_their_order():
    table = mixed()
    order = np.random.default_rng(1).permutation(len(table))
    found = ObservationOperator(table, GRID, torch.float64)(STATE)
    assert torch.equal(ObservationOperator(table.select(order), GRID, torch.float64)(STATE), found[order])


def test_rows_that_are_linear_do_not_depend_on_those_that_are_not():
    table = mixed()
    linear = np.isnan(table.height) & (table.variable <= CODES["t"])
    alone = ObservationOperator(table.select(linear), GRID)
    assert alone.linear and not ObservationOperator(table, GRID).linear
    state = STATE.float()
    assert torch.equal(ObservationOperator(table, GRID)(state)[torch.as_tensor(linear)], alone(state))


def test_deviations_of_linear_rows_are_their_equivalents_of_constant_fields():
    operator = ObservationOperator(rows([*TYPES][:9] * 20), GRID, torch.float64)
    constant = deviations()[:, None, None].expand_as(STATE)
    assert torch.equal(operator.deviation(STATE, deviations()), operator(constant))


def test_deviations_are_those_of_an_ensemble():
    """Errors of neighbours together, of variables apart: one draw per variable shifts all of it by its deviation."""
    operator = ObservationOperator(mixed(), GRID, torch.float64)
    # so small that the operator is linear to its third digit
    small = 0.01 * deviations()
    variables = sorted({channel.variable for channel in CHANNELS})
    number = torch.tensor([variables.index(channel.variable) for channel in CHANNELS])
    draws = drawn(4000, len(variables), seed=9)
    sample = torch.stack([operator(STATE + (small * draw[number])[:, None, None]) for draw in draws])
    # the sampling error of a standard deviation is 1 / sqrt(2 n), 1.1 %; five of them among a few hundred rows
    torch.testing.assert_close(sample.std(0), operator.deviation(STATE, small), rtol=5 / 8000**0.5, atol=0)


def beyond(metres):
    """Temperatures above the highest and below the lowest level of the state, by so many metres."""
    ends = rows(["t"] * 2).with_columns(pressure=np.array([LEVELS[0], LEVELS[-1]], "f4"))
    height = placed_by_height(ends).height + np.array([metres, -metres], "f4")
    return ends.with_columns(height=height, pressure=standard_pressure(height).astype("f4"))


def test_heights_beyond_the_column_are_known_and_nothing_is_extrapolated_to_them():
    inside, outside = (ObservationOperator(beyond(metres), GRID, torch.float64) for metres in (-50.0, 50.0))
    assert not inside.outside(STATE).any()
    assert outside.outside(STATE).all()
    torch.testing.assert_close(outside(STATE), ObservationOperator(beyond(0.0), GRID, torch.float64)(STATE))


def test_the_first_check_leaves_heights_to_the_state():
    ends = np.array([45.0, 1030.0], "f4")
    by_height = beyond(50.0).with_columns(pressure=ends)
    assert not outside_of_levels(by_height).any()
    by_pressure = by_height.with_columns(height=np.full(2, np.nan, "f4"))
    assert outside_of_levels(by_pressure).all()
    far = by_height.with_columns(pressure=np.array([40.0, 1100.0], "f4"))
    assert outside_of_levels(far).all()
    with pytest.raises(ValueError, match="above or below the levels"):
        ObservationOperator(far, GRID)


class Lifting(ForecastModel):
    """A forecast model that lifts all levels by 100 m and warms by 1 K in an hour."""

    grid, step_hours, differentiable = GRID, 1, True

    def step(self, states):
        lift = torch.zeros(69, 1, 1, dtype=states.dtype)
        for index, channel in enumerate(CHANNELS):
            lift[index] = {"z": 100.0 * GRAVITY, "t": 1.0}.get(channel.variable, 0.0)
        return states + lift


def window(slots=3):
    return Window(0, slots, 1, Lifting(), torch.arange(slots).double()[:, None] * deviations())


def in_slots(table, slots=3):
    return table.with_columns(time=np.arange(len(table)) % slots)


def test_a_window_takes_places_and_derivatives_from_the_states_of_its_slots():
    table = in_slots(mixed())
    operator = WindowOperator(table, GRID, window(), torch.float64)
    state = STATE
    for slot in range(3):
        there = table.time == slot
        alone = ObservationOperator(table.select(there), GRID, torch.float64)
        assert torch.equal(operator(STATE)[there], alone(state))
        assert torch.equal(operator.forecast_error(STATE)[there], alone.deviation(state, slot * deviations()))
        assert torch.equal(operator.outside(STATE)[there], alone.outside(state))
        state = Lifting().step(state)
    scale = operator.deviation(STATE, deviations().expand(3, -1))
    check_adjoint(lambda state: operator(state) / scale, STATE, perturbation(8), drawn(len(table)))


class Unused:
    """An error model that must not be asked for anything."""


@pytest.mark.parametrize("slots", [None, 3])
def test_heights_outside_of_the_background_s_column_are_rejected(slots):
    table = in_slots(concatenate([beyond(50.0), beyond(-150.0), beyond(-150.0)]), slots or 1)
    case = Case(
        STATE.float().numpy(),
        GRID,
        GRID,
        table.with_columns(rejection=np.array([0, 0, REASONS["withheld"], 0, 0, REASONS["withheld"]], "i1")),
        MinimiserSettings(),
        window(slots) if slots else None,
        DepartureChecks(deviations().numpy(), 1e6, 1e6, 100.0),
        progress=quiet,
    )
    found = assimilate(case, None, 1.0).observations
    # the third of the window's slots is 200 m higher: there the lowest level, too, is above its datum
    lifted = {5} if slots else set()
    expected = {0, 1, *lifted}
    assert set(np.flatnonzero(found.rejection == REASONS["outside_of_levels"])) == expected
    assert set(np.flatnonzero(np.isnan(found.observation_minus_background))) == expected


class Speed(ObservationType):
    """The speed of the wind at 10 m, a type of the surface that is not linear."""

    inputs = ("u10", "v10")

    def equivalent(self, inputs, pressure):
        return (inputs["u10"] ** 2 + inputs["v10"] ** 2).sqrt()

    def error(self, pressure, value):
        return np.ones(len(value))


def test_a_type_of_the_surface_may_be_any_function_of_several_variables():
    """The deviation of sqrt(u^2 + v^2) is sqrt(u^2 su^2 + v^2 sv^2) over it."""
    table = rows(["u10"] * 50)
    u, v = (ObservationOperator(rows([name] * 50), GRID, torch.float64) for name in ("u10", "v10"))
    speed = _Function(Speed(), PressurePlaces(table, Speed.inputs, GRID, torch.float64), len(table))
    expected = torch.hypot(u(STATE), v(STATE))
    torch.testing.assert_close(speed(STATE), expected, rtol=1e-12, atol=0)
    fields = deviations()[:, None, None].expand_as(STATE)
    spread = torch.hypot(u(STATE) * u(fields), v(STATE) * v(fields)) / expected
    torch.testing.assert_close(speed.deviation(STATE, fields), spread, rtol=1e-12, atol=0)
    assert not speed.places.outside(STATE).any()


def test_a_state_of_the_points_that_are_read_is_all_it_needs():
    """Not one number differs, and neither does the gradient, but in the order of its sums."""
    table = mixed()
    operator = ObservationOperator(table, GRID, torch.float64)
    points, compact = operator.on_points()
    assert torch.equal(points, points.unique()) and len(points) < GRID.nlat * GRID.nlon
    state = STATE.clone().requires_grad_(True)
    alone = STATE.flatten(1)[:, points].unsqueeze(1).requires_grad_(True)
    assert torch.equal(compact(alone), operator(state))
    (gradient,) = torch.autograd.grad(operator(state).square().sum(), state)
    (of_points,) = torch.autograd.grad(compact(alone).square().sum(), alone)
    torch.testing.assert_close(of_points[:, 0], gradient.flatten(1)[:, points], rtol=1e-12, atol=0)
    gradient.flatten(1)[:, points] = 0.0
    assert not gradient.any()
    some = np.arange(0, len(table), 3)
    assert len(ObservationOperator(table.select(some), GRID).on_points()[0]) < len(points)
