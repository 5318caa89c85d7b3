"""The variational analysis: a cost function in control space and its minimisation.

    J(w) = lambda / 2 |w|^2 + 1/2 sum_i (y_i - H_i(x_b + dx(w)))^2 / r_i^2

with dx the increment of the background error model, |w|^2 as that model says (`penalty`), and R diagonal. All methods
share this code.
"""

import math
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace

import torch

from ..background.background_error import BackgroundError


class DivergenceError(ArithmeticError):
    """The minimisation did not end at a finite cost at or below the one it started from."""


@dataclass(frozen=True)
class MinimiserSettings:
    """L-BFGS with strong Wolfe line searches.

    Attributes
    ----------
    iterations : int
        Most iterations.
    history : int
        Pairs kept for the inverse Hessian.
    gradient_reduction : float
        Stop where the largest component of the gradient has fallen by this factor.
    """

    iterations: int = 25
    history: int = 10
    gradient_reduction: float = 1e-3


@dataclass(frozen=True)
class Minimum:
    """Result of `minimise`: the control vector, costs, evaluations, and gradient norms at start and end."""

    control: torch.Tensor
    cost_start: float
    cost_end: float
    evaluations: int
    gradient_start: float
    gradient_end: float


class CostFunction:
    """J, callable on a control vector.

    Parameters
    ----------
    background_error : BackgroundError
    background_weight : float
        lambda; 1 trusts the error model's own amplitude.
    background : (69, lat, lon)
        On the state grid.
    to_state_grid : function
        From the error grid to the state grid.
    operator : function
        H, from a state to the observations' equivalents, shape (rows,).
    values, errors : (rows,)
    """

    def __init__(
        self,
        background_error: BackgroundError,
        background_weight: float,
        background: torch.Tensor,
        to_state_grid: Callable[[torch.Tensor], torch.Tensor],
        operator: Callable[[torch.Tensor], torch.Tensor],
        values: torch.Tensor,
        errors: torch.Tensor,
    ) -> None:
        self.background_error = background_error
        self.background_weight = background_weight
        self.background = background
        self.to_state_grid = to_state_grid
        self.operator = operator
        self.values = values
        self.errors = errors

    def state(self, control: torch.Tensor) -> torch.Tensor:
        """x_b + dx(w), shape (69, lat, lon)."""
        return self.background + self.to_state_grid(self.background_error.increment(control))

    def __call__(self, control: torch.Tensor) -> torch.Tensor:
        """J, a scalar."""
        departure = (self.values - self.operator(self.state(control))) / self.errors
        return 0.5 * self.background_weight * self.background_error.penalty(control) + 0.5 * departure.square().sum()

    def zero(self) -> torch.Tensor:
        """The control vector of the background."""
        return self.background.new_zeros(self.background_error.control_size)

    def restricted(self, background_error: BackgroundError) -> "CostFunction":
        """The same cost with another error model."""
        other = copy(self)
        other.background_error = background_error
        return other

    def observing(self, values: torch.Tensor) -> "CostFunction":
        """The same cost of other observed values, (rows,)."""
        other = copy(self)
        other.values = values
        return other


def analyse(cost: CostFunction, settings: MinimiserSettings, progress: Callable[[str], None] = print) -> Minimum:
    """Minimise J from the background: first over the error model's linear part, if it has one, then over all of it.

    The evaluations of both are counted; the cost at the start is that of the background.
    """
    start = cost.zero()
    part = cost.background_error.linear_part()
    if part is None:
        return minimise(cost, start, settings, progress)
    linear, where = part
    restricted = cost.restricted(linear)
    first = minimise(restricted, restricted.zero(), settings, progress)
    start[where] = first.control
    minimum = minimise(cost, start, settings, progress)
    return replace(
        minimum,
        cost_start=first.cost_start,
        gradient_start=first.gradient_start,
        evaluations=first.evaluations + minimum.evaluations,
    )


def minimise(
    cost: Callable[[torch.Tensor], torch.Tensor],
    start: torch.Tensor,
    settings: MinimiserSettings,
    progress: Callable[[str], None] = print,
) -> Minimum:
    """Minimise a differentiable cost from `start` by L-BFGS.

    Raises
    ------
    DivergenceError
        If the cost or its gradient stops being finite, or ends above the start.
    """
    control = start.clone().requires_grad_(True)
    history: list[tuple[float, float, float]] = []
    best = (math.inf, start)

    def closure() -> torch.Tensor:
        nonlocal best
        control.grad = None
        value = cost(control)
        value.backward()
        gradient = control.grad
        assert gradient is not None  # the backward pass has made it
        history.append((value.item(), gradient.norm().item(), gradient.abs().max().item()))
        if not all(map(math.isfinite, history[-1])):
            raise DivergenceError(
                f"the minimisation diverged: at evaluation {len(history)} the cost is {history[-1][0]} and the "
                f"gradient's norm {history[-1][1]}; the background, the observations or the error model are at fault"
            )
        if history[-1][0] < best[0]:
            best = (history[-1][0], control.detach().clone())
        progress(f"evaluation {len(history)}: cost {history[-1][0]:.6g}, gradient norm {history[-1][1]:.3g}")
        return value

    with torch.enable_grad():
        known = [closure()]
        first = history[0]
        optimiser = torch.optim.LBFGS(
            [control],
            max_iter=settings.iterations,
            history_size=settings.history,
            line_search_fn="strong_wolfe",
            tolerance_grad=settings.gradient_reduction * first[2],
            tolerance_change=0.0,
        )
        optimiser.step(lambda: known.pop() if known else closure())  # its first evaluation is that of the start
    if not best[0] <= first[0]:
        raise DivergenceError(
            f"the minimisation ended at a cost of {best[0]:.6g}, above the {first[0]:.6g} it began at"
        )
    end = next(entry for entry in history if entry[0] == best[0])
    return Minimum(best[1], first[0], best[0], len(history), first[1], end[1])
