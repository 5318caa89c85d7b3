"""One analysis: background and observations in, analysis and departures out."""

from dataclasses import dataclass

import numpy as np
import torch

from ..background.error_model import ErrorModel
from ..grid import Grid, regridder
from ..observations.operator import ObservationOperator, outside_of_levels
from ..observations.table import Observations
from ..observations.window import Window, WindowOperator
from .variational import CostFunction, MinimiserSettings, Minimum, analyse


@dataclass(frozen=True)
class Analysis:
    """The analysed state, (69, lat, lon), the table with departures, and the minimum (None without an error model)."""

    state: np.ndarray
    observations: Observations
    minimum: Minimum | None

    def attributes(self) -> dict:
        """What the table's file says of the minimisation."""
        attributes = {"used": int((self.observations.rejection == 0).sum())}
        if self.minimum:
            attributes["cost_at_background"] = self.minimum.cost_start
            attributes["cost_at_analysis"] = self.minimum.cost_end
            attributes["evaluations"] = self.minimum.evaluations
        return attributes


def assimilate(
    background: np.ndarray,
    grid: Grid,
    error_grid: Grid,
    table: Observations,
    error_model: ErrorModel | None,
    background_weight: float,
    settings: MinimiserSettings,
    window: Window | None = None,
    progress=print,
    device="cpu",
) -> Analysis:
    """Analyse; without an error model, or without observations, the analysis is the background.

    Parameters
    ----------
    background : (69, lat, lon)
        In the units of the state, on `grid`.
    table : Observations
        All of this analysis' time, or of its window.
    error_model : ErrorModel or None
        On `error_grid`.
    background_weight : float
        lambda of the cost function.
    window : Window or None
        Slots over which observations are spread (4D-Var); None takes all at the analysis time (3D-Var).
    """
    rejection = np.where(outside_of_levels(table), 1, 0).astype("i1")
    used = rejection == 0
    usable = table.select(used)
    state = torch.as_tensor(background, device=device)
    values, errors = (torch.as_tensor(column, device=device) for column in (usable.value, usable.error))
    if window is None:
        operator = ObservationOperator(usable, grid, device=device)
    else:
        operator = WindowOperator(usable, grid, window, device=device)
        errors = torch.hypot(errors, operator.model_error())
    minimum, analysed = None, state
    if error_model is not None and len(usable):
        cost = CostFunction(
            error_model,
            background_weight,
            state,
            regridder(error_grid, grid, device=device),
            operator,
            values,
            errors,
        )
        minimum = analyse(cost, settings, progress)
        with torch.no_grad():
            analysed = cost.state(minimum.control)
        progress(
            f"cost {minimum.cost_start:.6g} -> {minimum.cost_end:.6g} in {minimum.evaluations} evaluations, gradient "
            f"norm {minimum.gradient_start:.3g} -> {minimum.gradient_end:.3g}, 2 J / p = "
            f"{2 * minimum.cost_end / len(usable):.3f}"
        )
    departures = {}
    with torch.no_grad():
        for name, field in (("background", state), ("analysis", analysed)):
            column = np.full(len(table), np.nan, dtype=np.float32)
            column[used] = (values - operator(field)).cpu().numpy()
            departures[f"observation_minus_{name}"] = column
    return Analysis(analysed.cpu().numpy(), table.with_columns(rejection=rejection, **departures), minimum)
