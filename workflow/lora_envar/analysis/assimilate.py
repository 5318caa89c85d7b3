"""One analysis: background and observations in, analysis and departures out."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from ..background.background_error import BackgroundError
from ..fields.grid import Grid
from ..fields.regridding import regridder
from ..observations.operator import ObservationOperator, outside_of_levels
from ..observations.quality import DepartureChecks, check_departures
from ..observations.table import REASONS, Observations
from ..observations.window import Window, WindowOperator
from .amplitudes import Amplitude, Calibration
from .variational import CostFunction, MinimiserSettings, Minimum, analyse


@dataclass(frozen=True)
class Analysis:
    """What an analysis gives.

    Attributes
    ----------
    state : (69, lat, lon)
    observations : Observations
        With departures.
    minimum : Minimum or None
        None without an error model, or without data.
    amplitudes : dict or None
        For the next cycle, by part; None where nothing is calibrated.
    """

    state: np.ndarray
    observations: Observations
    minimum: Minimum | None
    amplitudes: dict[str, Amplitude] | None = None

    def attributes(self) -> dict:
        """What the table's file says of the minimisation; without data the cost function is zero at the background."""
        used = int((self.observations.rejection == REASONS["used"]).sum())
        if self.minimum:
            return {
                "used": used,
                "cost_at_background": self.minimum.cost_start,
                "cost_at_analysis": self.minimum.cost_end,
                "evaluations": self.minimum.evaluations,
            }
        without_data = {} if used else {"cost_at_background": 0.0, "cost_at_analysis": 0.0}
        return {"used": used, **without_data, "evaluations": 0}


@dataclass(frozen=True)
class Case:
    """What an analysis is made of, whatever the method.

    Attributes
    ----------
    background : (69, lat, lon)
        In the units of the state, on `grid`.
    grid, error_grid : Grid
        Of the state, and of background errors.
    observations : Observations
        All of this analysis' time, or of its window.
    minimiser : MinimiserSettings
    window : Window or None
        Slots over which observations are spread (4D-Var); None takes all at the analysis time (3D-Var).
    checks : DepartureChecks or None
        Of O - B; None makes none.
    device : str
    progress : function
        Is given a line of text at a time.
    """

    background: np.ndarray
    grid: Grid
    error_grid: Grid
    observations: Observations
    minimiser: MinimiserSettings
    window: Window | None = None
    checks: DepartureChecks | None = None
    device: str = "cpu"
    progress: Callable[[str], None] = print


def assimilate(
    case: Case,
    background_error: BackgroundError | None,
    background_weight: float,
    calibration: Calibration | None = None,
) -> Analysis:
    """The variational analysis; without a background error, or without observations, it is the background.

    Departures are given of all data where H is defined and that no check has rejected; withheld ones are among them,
    and are not used.

    Parameters
    ----------
    background_error : BackgroundError or None
        On the error grid.
    background_weight : float
        lambda of the cost function; 1 where variances are calibrated.
    calibration : Calibration or None
        By which the error model is amplified, and which learns from this analysis.
    """
    grid = case.grid
    device = case.device
    progress = case.progress
    state = torch.as_tensor(case.background, device=device)
    table = _within_levels(case, state)
    observed = _is_observed(table)
    observe = _operator(case, table.select(observed))
    rejection = table.rejection
    with torch.no_grad():
        departure = _departure(table, observed, observe, state)
        if case.checks:
            deviation = np.full(len(table), np.nan)
            deviation[observed] = _background_deviation(case, case.checks, observe, state)
            rejection = check_departures(table, departure, deviation, case.checks)
    used = rejection == REASONS["used"]
    usable = table.select(used)
    operator = observe if (used == observed).all() else _operator(case, usable)
    values = torch.as_tensor(usable.value, device=device)
    errors = torch.as_tensor(usable.error, device=device)
    amplitudes = None
    if calibration and background_error is not None:
        errors = errors * torch.as_tensor(calibration.error_factor(usable.report_type), device=device)
        background_error = calibration.amplified(background_error, state)
        amplitudes = calibration.without_data()
    if isinstance(operator, WindowOperator):
        with torch.no_grad():
            errors = torch.hypot(errors, operator.forecast_error(state))
    minimum = None
    analysed = state
    if not len(usable):
        progress(f"warning: none of {len(table)} observations can be used here; the analysis is the background")
    elif background_error is not None:
        cost = CostFunction(
            background_error,
            background_weight,
            state,
            regridder(case.error_grid, grid, device=device),
            operator,
            values,
            errors,
        )
        minimum = analyse(cost, case.minimiser, progress)
        with torch.no_grad():
            analysed = cost.state(minimum.control)
        if calibration:
            amplitudes = calibration.updated(cost, minimum, usable.report_type, case.minimiser, progress)
        progress(
            f"cost {minimum.cost_start:.6g} -> {minimum.cost_end:.6g} in {minimum.evaluations} evaluations, gradient "
            f"norm {minimum.gradient_start:.3g} -> {minimum.gradient_end:.3g}, 2 J / p = "
            f"{2 * minimum.cost_end / len(usable):.3f}"
        )
    with torch.no_grad():
        table = table.with_columns(
            rejection=rejection,
            observation_minus_background=departure,
            observation_minus_analysis=_departure(table, observed, observe, analysed),
        )
    return Analysis(analysed.cpu().numpy(), table, minimum, amplitudes)


def _operator(case: Case, table: Observations) -> ObservationOperator | WindowOperator:
    """H for the rows of a table, at the analysis time or at the slots of the window."""
    if case.window is None:
        return ObservationOperator(table, case.grid, device=case.device)
    return WindowOperator(table, case.grid, case.window, device=case.device)


def _is_observed(table: Observations) -> np.ndarray:
    """Which rows are compared with states: those that are used, and those that are kept to judge the analysis."""
    return np.isin(table.rejection, (REASONS["used"], REASONS["withheld"]))


def _within_levels(case: Case, background: torch.Tensor) -> Observations:
    """The observations, those rejected that lie outside of the levels; heights are compared with the background's."""
    table = case.observations
    rejection = table.rejection.copy()
    rejection[(rejection == REASONS["used"]) & outside_of_levels(table)] = REASONS["outside_of_levels"]
    table = table.with_columns(rejection=rejection)
    placed = np.flatnonzero(_is_observed(table) & np.isfinite(table.height))
    if not len(placed):
        return table
    with torch.no_grad():
        outside = _operator(case, table.select(placed)).outside(background).cpu().numpy()
    rejection = rejection.copy()
    rejection[placed[outside]] = REASONS["outside_of_levels"]
    return table.with_columns(rejection=rejection)


def _background_deviation(
    case: Case, checks: DepartureChecks, operator: ObservationOperator | WindowOperator, background: torch.Tensor
) -> np.ndarray:
    """Standard deviation of the background at the rows of an operator, the same at all slots of a window, (rows,)."""
    deviations = torch.as_tensor(checks.background_deviation, dtype=background.dtype, device=background.device)
    if isinstance(operator, ObservationOperator):
        return operator.deviation(background, deviations).cpu().numpy()
    return operator.deviation(background, deviations.expand(operator.window.slots, -1)).cpu().numpy()


def _departure(
    table: Observations, rows: np.ndarray, operator: ObservationOperator | WindowOperator, state: torch.Tensor
) -> np.ndarray:
    """Observed less equivalent value, (rows,); not a number where H is not applied, or a height left the levels."""
    departure = np.full(len(table), np.nan, dtype=np.float32)
    departure[rows] = table.value[rows] - operator(state).cpu().numpy()
    if not operator.linear:
        departure[np.flatnonzero(rows)[operator.outside(state).cpu().numpy()]] = np.nan
    return departure
