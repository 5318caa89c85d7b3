"""What the tests of analyses share: a small grid, observations of it, and their cost function."""

from datetime import UTC, datetime

import numpy as np
import torch
from lora_envar.analysis.variational import CostFunction
from lora_envar.example_world.twin import draw_columns, simulate
from lora_envar.fields.grid import Grid
from lora_envar.observations.operator import ObservationOperator

GRID = Grid("gaussian", 16, 32)


def quiet(_):
    return None


def observations(columns=12, fraction=0.5):
    truth = np.random.default_rng(3).normal(size=(69, *GRID.shape))
    time = datetime(2009, 1, 1, tzinfo=UTC)
    return simulate(
        lambda _: truth, [time], GRID, draw_columns(GRID, columns, "random", 1), np.full(69, fraction), True, 1
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
