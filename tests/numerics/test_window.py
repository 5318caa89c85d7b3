"""4D-Var: the closed form for a linear model, the Kalman smoother, gradients, and one slot is 3D-Var."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import torch
from cases import GRID, blue, check_taylor, quiet
from conftest import small_network
from lora_envar.analysis.assimilate import Case, assimilate
from lora_envar.analysis.minimisation import MinimiserSettings, minimise
from lora_envar.analysis.variational import CostFunction
from lora_envar.example_world.twin import SimulatedNetwork, draw_columns, simulate
from lora_envar.fields.state import NAMES
from lora_envar.fields.timeline import hours_since_1970
from lora_envar.forecast.emulator import Emulator
from lora_envar.forecast.model import ForecastModel
from lora_envar.observations.operator import ObservationOperator
from lora_envar.observations.window import Window, WindowOperator, measure_forecast_error, read_forecast_error
from test_analysis import gaussian_model

START = datetime(2009, 1, 1, tzinfo=UTC)
SLOTS = 3
STATE = (69, *GRID.shape)


class Turning(ForecastModel):
    """A linear forecast model: everything moves eastward by two points and is damped, channel by channel."""

    grid, step_hours, differentiable = GRID, 1, True

    def step(self, states):
        return torch.linspace(0.7, 1.1, 69, dtype=states.dtype).view(-1, 1, 1) * states.roll(2, -1)


def emulator():
    torch.manual_seed(1)
    model = Emulator(GRID, 10, small_network((69,), (69,)), step_hours=1).double()
    model.harmonics = type(model.harmonics)(GRID, 10, torch.float64)
    return model.requires_grad_(False)


def window_of(model, slots=SLOTS, errors=0.0, checkpoint=True):
    forecast_error = torch.arange(slots).double()[:, None] * torch.linspace(0.5, 1.5, 69).double() * errors
    return Window(hours_since_1970(START), slots, 1, model, forecast_error, checkpoint)


def observations(slots=SLOTS, columns=6):
    draws = np.random.default_rng(3)
    truth = {START + timedelta(hours=slot): draws.normal(size=STATE) for slot in range(slots)}
    network = SimulatedNetwork(draw_columns(GRID, columns, "random", 1), np.full(69, 0.5), True, 1)
    return simulate(truth.get, truth, GRID, network)


def cost_of(background_error, window, table, weight=1.0):
    operator = WindowOperator(table, GRID, window, torch.float64)
    values, errors = (torch.as_tensor(column, dtype=torch.float64) for column in (table.value, table.error))
    background = torch.zeros(STATE, dtype=torch.float64)
    errors = torch.hypot(errors, operator.forecast_error(background))
    return CostFunction(background_error, weight, background, lambda field: field, operator, values, errors)


@pytest.mark.parametrize("errors", [0.0, 0.3])
def test_linear_gaussian_4dvar_is_the_closed_form(errors):
    model, _ = gaussian_model()
    cost = cost_of(model, window_of(Turning(), errors=errors), observations(), weight=2.0)
    minimum = minimise(cost, cost.zero(), MinimiserSettings(600, 50, 1e-11), quiet)
    expected = blue(cost)
    assert (cost.state(minimum.control) - expected).norm() < 1e-6 * expected.norm()


def test_it_is_the_kalman_smoother():
    """The smoothed state at the start, slot after slot: filter on the pair (state at the start, state now)."""
    background_error, _ = gaussian_model()
    table = observations(columns=2)
    table = table.select(np.isin(table.variable, [2, 3]))
    model = Turning()
    cost = cost_of(background_error, window_of(model), table)
    analysis = cost.state(minimise(cost, cost.zero(), MinimiserSettings(600, 50, 1e-11), quiet).control)

    size = background_error.control_size  # the state is linear in standard normal numbers: estimate these
    mean, covariance = torch.zeros(size).double(), torch.eye(size).double()
    fields = torch.stack([background_error.increment(unit) for unit in torch.eye(size, dtype=torch.float64)])
    for hour in window_of(model).hours:
        rows = table.select(table.time == hour)
        operator = ObservationOperator(rows, GRID, torch.float64)
        observed = torch.stack([operator(field) for field in fields], dim=1)
        innovation = observed @ covariance @ observed.T + torch.diag(torch.as_tensor(rows.error).double() ** 2)
        gain = torch.linalg.solve(innovation, observed @ covariance).T
        mean = mean + gain @ (torch.as_tensor(rows.value).double() - observed @ mean)
        covariance = covariance - gain @ observed @ covariance
        fields = model.step(fields)
    expected = background_error.increment(mean)
    assert (analysis - expected).norm() < 1e-6 * expected.norm()


def test_one_slot_is_the_operator_of_3dvar():
    table = observations(slots=1)
    state = torch.randn(STATE, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    window = WindowOperator(table, GRID, window_of(Turning(), slots=1), torch.float64)
    assert torch.equal(window(state), ObservationOperator(table, GRID, torch.float64)(state))


def test_rows_keep_their_order_and_take_their_slots_forecast_error():
    table = observations()
    shuffled = np.random.default_rng(1).permutation(len(table))
    window = window_of(Turning(), errors=2.0)
    plain, other = (WindowOperator(rows, GRID, window, torch.float64) for rows in (table, table.select(shuffled)))
    state = torch.randn(STATE, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    assert torch.equal(plain(state)[shuffled], other(state))
    slot = table.time - hours_since_1970(START)
    channel = np.tile(np.repeat(np.arange(69), 6), SLOTS)
    expected = 2.0 * slot * np.linspace(0.5, 1.5, 69)[channel]
    np.testing.assert_allclose(plain.forecast_error(state), expected, rtol=1e-6)


def test_the_gradient_through_the_network_passes_the_taylor_test_and_checkpoints_change_nothing():
    background_error, _ = gaussian_model()
    model, table = emulator(), observations()
    draws = torch.Generator().manual_seed(6)
    point, direction = torch.randn(2, background_error.control_size, dtype=torch.float64, generator=draws) * 0.3
    gradients = []
    for checkpoint in (True, False):
        cost = cost_of(background_error, window_of(model, checkpoint=checkpoint), table)
        start = point.clone().requires_grad_(True)
        gradients.append(torch.autograd.grad(cost(start), start)[0])
    torch.testing.assert_close(*gradients, rtol=1e-12, atol=1e-12)
    check_taylor(cost, point, direction)


def test_later_observations_pull_the_analysis_towards_them():
    background_error, _ = gaussian_model(torch.float32)
    table = observations()
    last = table.select(table.time == table.time.max())
    background = np.zeros(STATE, dtype="f4")
    settings = MinimiserSettings(30, 10, 1e-4)
    window = window_of(Turning())
    window = Window(window.start, SLOTS, 1, window.model, window.forecast_error.float())
    result = assimilate(Case(background, GRID, GRID, last, settings, window, progress=quiet), background_error, 1.0)
    before, after = result.observations.observation_minus_background, result.observations.observation_minus_analysis
    assert np.square(after).mean() < 0.9 * np.square(before).mean()


def test_forecast_errors_are_those_of_the_forecasts(tmp_path):
    """A model that does nothing, in a world that gains one unit an hour."""
    table = measure_forecast_error(
        lambda x, hours, start: x, lambda t: torch.full(STATE, float(t)), [0, 5], SLOTS, 2, GRID
    )
    table.to_csv(tmp_path / "errors.csv", index=False)
    found = read_forecast_error(tmp_path / "errors.csv", SLOTS, 2)
    torch.testing.assert_close(found, torch.tensor([0.0, 2.0, 4.0])[:, None].expand(-1, len(NAMES)))
    with pytest.raises(ValueError, match="make it again"):
        read_forecast_error(tmp_path / "errors.csv", SLOTS, 3)


@pytest.mark.parametrize("checkpoint", [False, True])
def test_a_model_that_depends_on_the_date_gets_that_of_every_step(checkpoint):
    class Dated(Turning):
        timed, asked = True, ()

        def step(self, states, valid):
            Dated.asked = [*Dated.asked, *valid]
            return super().step(states)

    operator = WindowOperator(observations(), GRID, window_of(Dated(), checkpoint=checkpoint), torch.float64)
    state = torch.zeros(STATE, dtype=torch.float64, requires_grad=checkpoint)
    plain = WindowOperator(observations(), GRID, window_of(Turning()), torch.float64)
    assert torch.equal(operator(state), plain(state))
    assert Dated.asked == [START, START + timedelta(hours=1)]


def test_a_window_that_the_model_cannot_serve_is_refused():
    with pytest.raises(ValueError, match="multiple of the model's step"):
        Window(0, 2, 1, type("SixHours", (), {"step_hours": 6, "differentiable": True}), torch.zeros(2, 69))
    with pytest.raises(ValueError, match="differentiable"):
        Window(0, 2, 6, type("Frozen", (), {"step_hours": 6, "differentiable": False}), torch.zeros(2, 69))
    late = observations().with_columns(time=observations().time + 1)
    with pytest.raises(ValueError, match="not among its slots"):
        WindowOperator(late, GRID, window_of(Turning()))
