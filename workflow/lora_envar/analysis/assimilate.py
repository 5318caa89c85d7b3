"""One analysis: from a background and observations to an analysis and departures."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from ..background.background_error import BackgroundError
from ..fields.grid import Grid
from ..fields.regridding import regridder
from ..observations.families import rows_of
from ..observations.operator import ObservationOperator, outside_of_levels
from ..observations.quality import DepartureChecks, check_departures
from ..observations.table import PASSED, REASONS, Observations
from ..observations.window import Window, WindowOperator
from .amplitudes import Amplitude
from .calibration import Calibration
from .diagnosis import Diagnosis, expected_signal
from .minimisation import MinimiserSettings, Minimum, minimise
from .variational import CostFunction


@dataclass(frozen=True)
class AnalysedEnsemble:
    """An ensemble of analyses.

    Attributes
    ----------
    members : (members, 69, lat, lon)
        Their mean is the analysed state.
    consistency : float
        Mean square departure from the background, over the value that spread and observation errors predict: 1
        is right, and more means that the spread is too small; not a number without data.
    """

    members: np.ndarray
    consistency: float


@dataclass(frozen=True)
class Analysis:
    """The result of an analysis.

    Attributes
    ----------
    state : (69, lat, lon)
    increment : (69, lat, lon)
        The state minus the background, without the rounding of numbers as large as those of the state.
    observations : Observations
        With departures, and with the reasons why data were not used.
    minimum : Minimum or None
        Of a variational analysis that had data.
    ensemble : AnalysedEnsemble or None
        Of a filter.
    amplitudes : dict or None
        For the next cycle, by part; None where nothing is calibrated.
    signal : float or None
        Degrees of freedom for signal, tr(H K), see `diagnosis`; None where they were not measured.
    """

    state: np.ndarray
    increment: np.ndarray
    observations: Observations
    minimum: Minimum | None = None
    ensemble: AnalysedEnsemble | None = None
    amplitudes: dict[str, Amplitude] | None = None
    signal: float | None = None

    def attributes(self) -> dict[str, float]:
        """Attributes about the analysis for the file of the table; without data, the cost is zero at the background."""
        used = int((self.observations.rejection == REASONS["used"]).sum())
        about: dict[str, float] = {"used": used, "evaluations": 0}
        if self.signal is not None:
            about["degrees_of_freedom_for_signal"] = self.signal
        if self.ensemble:
            return about | {"consistency": self.ensemble.consistency}
        if self.minimum:
            return about | {
                "cost_at_background": self.minimum.cost_start,
                "cost_at_analysis": self.minimum.cost_end,
                "gradient_at_background": self.minimum.gradient_start,
                "gradient_at_analysis": self.minimum.gradient_end,
                "evaluations": self.minimum.evaluations,
            }
        return about if used else about | {"cost_at_background": 0.0, "cost_at_analysis": 0.0}


@dataclass(frozen=True)
class Case:
    """The inputs of an analysis, whatever the method.

    Attributes
    ----------
    background : (69, lat, lon)
        In the units of the state, on `grid`.
    grid, error_grid : Grid
        Of the state, and of background errors.
    observations : Observations
        All observations of this analysis time, or of its window.
    minimiser : MinimiserSettings
    window : Window or None
        Slots over which observations are spread (4D-Var); None takes all at the analysis time (3D-Var).
    checks : DepartureChecks or None
        Of O - B; None makes none.
    denied : tuple of str
        Families of reports and types of observations that are not used, see `observations.families`.
    device : str
    progress : function
        Receives one line of text at a time.
    """

    background: np.ndarray
    grid: Grid
    error_grid: Grid
    observations: Observations
    minimiser: MinimiserSettings
    window: Window | None = None
    checks: DepartureChecks | None = None
    denied: tuple[str, ...] = ()
    device: str = "cpu"
    progress: Callable[[str], None] = print


@dataclass(frozen=True)
class Comparison:
    """The observations of a case compared with its background: their departures, and which of them can be used.

    Attributes
    ----------
    case : Case
    background : (69, lat, lon)
        On the case's device.
    table : Observations
        Those of the case; the columns are filled in by `conclude`.
    compared : (rows,) of bool
        Whether H is defined and no check before that of departures has rejected the row; withheld ones are among these.
    observe : function
        Applies H at the rows that are compared.
    rejection : (rows,)
        After all checks.
    departure : (rows,)
        O - B; not a number where rows are not compared.
    usable : Observations
        The rows that are used.
    operator : function
        H of these.
    values, errors : (used rows,)
        Of these; errors with those of the forecast model of a window.
    """

    case: Case
    background: torch.Tensor
    table: Observations
    compared: np.ndarray
    observe: ObservationOperator | WindowOperator
    rejection: np.ndarray
    departure: np.ndarray
    usable: Observations
    operator: ObservationOperator | WindowOperator
    values: torch.Tensor
    errors: torch.Tensor

    @property
    def used(self) -> np.ndarray:
        """Which of the compared rows are used, (compared rows,) of bool."""
        return (self.rejection == REASONS["used"])[self.compared]

    def conclude(
        self,
        state: torch.Tensor,
        increment: torch.Tensor | None = None,
        minimum: Minimum | None = None,
        ensemble: AnalysedEnsemble | None = None,
        background_error: torch.Tensor | None = None,
    ) -> Analysis:
        """The analysis and its table, from a state and an increment of shape (69, lat, lon); None means no increment.

        The table gets the departures of all data that are compared and, if it is known, the background error there,
        `background_error`, (compared rows,).
        """
        if increment is None:
            increment = torch.zeros_like(state)
        with torch.no_grad():
            table = self.table.with_columns(
                rejection=self.rejection,
                observation_minus_background=self.departure,
                observation_minus_analysis=_departure(self.table, self.compared, self.observe, state),
            )
        if background_error is not None:
            deviation = np.full(len(table), np.nan, dtype=np.float32)
            deviation[self.compared] = background_error.cpu().numpy()
            table = table.with_columns(background_error=deviation)
        return Analysis(state.cpu().numpy(), increment.cpu().numpy(), table, minimum, ensemble)


def compare(case: Case) -> Comparison:
    """Place the observations of a case in its background, check them, and choose those that are used."""
    device = case.device
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
    rejection = np.where((rejection == REASONS["used"]) & rows_of(table, case.denied), REASONS["denied"], rejection)
    rejection = rejection.astype(table.rejection.dtype)
    used = rejection == REASONS["used"]
    usable = table.select(used)
    operator = observe if (used == observed).all() else _operator(case, usable)
    values = torch.as_tensor(usable.value, device=device)
    errors = torch.as_tensor(usable.error, device=device)
    if isinstance(operator, WindowOperator):
        with torch.no_grad():
            errors = torch.hypot(errors, operator.forecast_error(state))
    if not len(usable):
        case.progress(f"warning: none of {len(table)} observations can be used, so the analysis is the background")
    return Comparison(case, state, table, observed, observe, rejection, departure, usable, operator, values, errors)


def assimilate(
    case: Case,
    background_error: BackgroundError | None,
    background_weight: float,
    calibration: Calibration | None = None,
    diagnosis: Diagnosis | None = None,
) -> Analysis:
    """Make the variational analysis; without a background error or observations, it is the background.

    The table gets the departures of all data where H is defined and no check has failed. Withheld data are among them,
    and are not used.

    Parameters
    ----------
    background_error : BackgroundError or None
        On the error grid.
    background_weight : float
        lambda of the cost function; 1 where variances are calibrated.
    calibration : Calibration or None
        It amplifies the error model, and learns from this analysis.
    diagnosis : Diagnosis or None
        It records what the analysis assumed, and how much the data contributed.
    """
    compared = compare(case)
    used = len(compared.usable)
    if not used or background_error is None:
        without_data = calibration.without_data() if calibration else None
        return replace(compared.conclude(compared.background), amplitudes=without_data)
    cost = cost_function(compared, background_error, background_weight, calibration)
    minimum = minimise(cost, cost.zero(), case.minimiser, case.progress)
    amplitudes = None
    signal = None
    assumed = None
    if calibration:
        types = compared.usable.report_type
        amplitudes = calibration.updated(cost, minimum, types, case.minimiser, case.progress)
        signal = expected_signal(amplitudes, background_error.parts())
    if diagnosis:
        assumed = diagnosis.background_deviation(cost, compared.observe)
        if signal is None and diagnosis.signal:
            signal = diagnosis.degrees_of_freedom(cost, case.minimiser, case.progress)
    with torch.no_grad():
        increment = cost.increment(minimum.control)
    case.progress(
        f"cost {minimum.cost_start:.6g} -> {minimum.cost_end:.6g} in {minimum.evaluations} evaluations, gradient "
        f"norm {minimum.gradient_start:.3g} -> {minimum.gradient_end:.3g}, 2 J / p = "
        f"{2 * minimum.cost_end / used:.3f}"
    )
    concluded = compared.conclude(compared.background + increment, increment, minimum, background_error=assumed)
    return replace(concluded, amplitudes=amplitudes, signal=signal)


def cost_function(
    compared: Comparison,
    background_error: BackgroundError,
    background_weight: float,
    calibration: Calibration | None = None,
) -> CostFunction:
    """The cost function of an analysis; the parameters are those of `assimilate`."""
    case = compared.case
    errors = compared.errors
    if calibration:
        background_error = calibration.amplified(background_error, compared.background)
        factor = calibration.error_factor(compared.usable.report_type)
        errors = errors * torch.as_tensor(factor, device=case.device)
    return CostFunction(
        background_error,
        background_weight,
        compared.background,
        regridder(case.error_grid, case.grid, device=case.device),
        compared.operator,
        compared.values,
        errors,
    )


def _operator(case: Case, table: Observations) -> ObservationOperator | WindowOperator:
    """H for the rows of a table, at the analysis time or at the slots of the window."""
    if case.window is None:
        return ObservationOperator(table, case.grid, device=case.device)
    return WindowOperator(table, case.grid, case.window, device=case.device)


def _is_observed(table: Observations) -> np.ndarray:
    """Which rows are compared with states: those that are used, and those that are withheld to judge the analysis."""
    return np.isin(table.rejection, PASSED)


def _within_levels(case: Case, background: torch.Tensor) -> Observations:
    """The observations, with those outside the levels rejected; heights are compared with the background's."""
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
    """Observed minus equivalent, (rows,); NaN where H is not applied, or where a height has left the levels."""
    departure = np.full(len(table), np.nan, dtype=np.float32)
    departure[rows] = table.value[rows] - operator(state).cpu().numpy()
    if not operator.linear:
        departure[np.flatnonzero(rows)[operator.outside(state).cpu().numpy()]] = np.nan
    return departure
