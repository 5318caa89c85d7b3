"""What the tests of analyses share: a small grid, observations of it, their cost function, and laws of derivatives."""

import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest
import torch
from lora_envar.analysis.variational import CostFunction
from lora_envar.example_world.twin import SimulatedNetwork, draw_columns, simulate
from lora_envar.fields.grid import Grid
from lora_envar.fields.state import CHANNELS
from lora_envar.observations.operator import ObservationOperator
from lora_envar.observations.standard_atmosphere import standard_geopotential
from torch.autograd import forward_ad

GRID = Grid("gaussian", 16, 32)


def quiet(_):
    return None


def observations(columns=12, fraction=0.5):
    truth = np.random.default_rng(3).normal(size=(69, *GRID.shape))
    time = datetime(2009, 1, 1, tzinfo=UTC)
    network = SimulatedNetwork(draw_columns(GRID, columns, "random", 1), np.full(69, fraction), True, 1)
    return simulate(lambda _: truth, [time], GRID, network)


def atmosphere(seed=1) -> torch.Tensor:
    """A state that could be the atmosphere's, warm and moist at the equator, with weather of its own in every point."""
    warmth = np.cos(np.radians(GRID.latitude))[:, None] ** 2
    weather = np.random.default_rng(seed)
    fields = []
    for channel in CHANNELS:
        pressure = float(channel.level or 1000)
        depth = np.log(1000.0 / pressure)
        mean, deviation = {
            "z": (standard_geopotential(pressure) + 2000.0 * depth * (warmth - 0.5), 200.0),
            "t": (np.maximum(255.0 + 40.0 * warmth - 33.0 * depth, 205.0), 2.0),
            "q": ((0.001 + 0.015 * warmth) * np.exp(-2.5 * depth), 1e-4 * np.exp(-2.5 * depth)),
            "t2m": (255.0 + 40.0 * warmth, 2.0),
            "msl": (1.013e5, 500.0),
        }.get(channel.variable, (10.0 * depth, 5.0))
        fields.append(mean + deviation * weather.standard_normal(GRID.shape))
    return torch.as_tensor(np.stack(fields))


def deviations() -> torch.Tensor:
    """A standard deviation per channel of the size of forecast errors, (69,), no two channels of a variable alike."""
    size = {"z": 150.0, "q": 2e-4, "t": 1.0, "msl": 80.0}
    return torch.tensor(
        [size.get(channel.variable, 1.5) * (1.0 + 0.02 * (index % 13)) for index, channel in enumerate(CHANNELS)],
        dtype=torch.float64,
    )


def cost_of(model, table, dtype=torch.float64, weight=1.0, background=None):
    background = torch.zeros(69, *GRID.shape, dtype=dtype) if background is None else background
    operator = ObservationOperator(table, GRID, dtype)
    values, errors = (torch.as_tensor(column, dtype=dtype) for column in (table.value, table.error))
    return CostFunction(model, weight, background, lambda field: field, operator, values, errors)


def blue(cost):
    """The closed form, x_a = B^(1/2) G' (G G' + lambda R)^-1 d with G = H B^(1/2), of a linear error model."""
    model = cost.background_error
    columns = [cost.operator(model.increment(unit)) for unit in torch.eye(model.control_size, dtype=torch.float64)]
    observed = torch.stack(columns, dim=1)
    innovation = observed @ observed.T + cost.background_weight * torch.diag(cost.errors**2)
    return model.increment(observed.T @ torch.linalg.solve(innovation, cost.values))


def taylor_ratios(
    cost: Callable[[torch.Tensor], torch.Tensor], point: torch.Tensor, direction: torch.Tensor, steps=range(1, 7)
) -> list[float]:
    """|[J(x + e h) - J(x)] / (e <grad J(x), h>) - 1| for e = 10^-1, 10^-2, ..."""
    start = point.detach().clone().requires_grad_(True)
    value = cost(start)
    gradient = torch.autograd.grad(value, start)[0]
    slope = (gradient * direction).sum()
    with torch.no_grad():
        return [
            abs(((cost(start + 10.0**-step * direction) - value) / (10.0**-step * slope) - 1).item()) for step in steps
        ]


def check_taylor(
    cost: Callable[[torch.Tensor], torch.Tensor], point: torch.Tensor, direction: torch.Tensor, steps=range(1, 7)
):
    """The Taylor test: with the right gradient, what is left after the first order is of second order in e."""
    for larger, smaller in pairwise(taylor_ratios(cost, point, direction, steps)):
        assert smaller == pytest.approx(larger / 10, rel=0.35)


def tangent_linear(
    operator: Callable[[torch.Tensor], torch.Tensor], point: torch.Tensor, direction: torch.Tensor
) -> torch.Tensor:
    """L h, L the derivative of an operator at a point, by forward differentiation."""
    with warnings.catch_warnings(), forward_ad.dual_level():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch's own, of torch.jit
        return forward_ad.unpack_dual(operator(forward_ad.make_dual(point.detach(), direction))).tangent


def taylor_remainders(
    operator: Callable[[torch.Tensor], torch.Tensor], point: torch.Tensor, direction: torch.Tensor, steps=range(1, 5)
) -> list[float]:
    """||H(x + e h) - H(x) - e L h|| for e = 10^-1, 10^-2, ..."""
    image = operator(point)
    tangent = tangent_linear(operator, point, direction)
    return [(operator(point + 10.0**-n * direction) - image - 10.0**-n * tangent).norm().item() for n in steps]


def check_remainder(
    operator: Callable[[torch.Tensor], torch.Tensor], point: torch.Tensor, direction: torch.Tensor, steps=range(1, 5)
):
    """What the tangent linear leaves of an operator falls with the square of the step."""
    for larger, smaller in pairwise(taylor_remainders(operator, point, direction, steps)):
        assert smaller == pytest.approx(larger / 100, rel=0.35)


def adjoint_mismatch(
    operator: Callable[[torch.Tensor], torch.Tensor], point: torch.Tensor, direction: torch.Tensor, image: torch.Tensor
) -> float:
    """|<L h, y> - <h, L' y>| over the norms of L h and y; L h by forward, L' y by reverse differentiation at x."""
    tangent = tangent_linear(operator, point, direction)
    start = point.detach().clone().requires_grad_(True)
    adjoint = torch.autograd.grad(operator(start), start, image)[0]
    left = (tangent * image).sum()
    right = (direction * adjoint).sum()
    return ((left - right).abs() / (tangent.norm() * image.norm())).item()


def check_adjoint(
    operator: Callable[[torch.Tensor], torch.Tensor], point: torch.Tensor, direction: torch.Tensor, image: torch.Tensor
):
    """<L h, y> = <h, L' y> in double precision, L the derivative of an operator at a point."""
    assert adjoint_mismatch(operator, point, direction, image) < 1e-12
