"""The variational analysis: a cost function in control space and its minimisation.

    J(w) = lambda / 2 |w|^2 + 1/2 sum_i (y_i - H_i(x_b + dx(w)))^2 / r_i^2

with dx the increment of the background error model, |w|^2 as that model says (`penalty`), and R diagonal. All methods
share this code.
"""

import math
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass

import torch

from ..background.background_error import BackgroundError

#: of the cost, the fall by which the curvature along the first direction is probed
PROBED = 0.1


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
        self._centre: torch.Tensor | None = None

    def increment(self, control: torch.Tensor) -> torch.Tensor:
        """dx(w) on the state grid, shape (69, lat, lon)."""
        return self.to_state_grid(self.background_error.increment(control))

    def state(self, control: torch.Tensor) -> torch.Tensor:
        """x_b + dx(w), shape (69, lat, lon)."""
        return self.background + self.increment(control)

    def __call__(self, control: torch.Tensor) -> torch.Tensor:
        """J, a scalar."""
        departure = (self.values - self.operator(self.state(control))) / self.errors
        return 0.5 * self.background_weight * self._penalty(control) + 0.5 * departure.square().sum()

    def _penalty(self, control: torch.Tensor) -> torch.Tensor:
        if self._centre is None:
            return self.background_error.penalty(control)
        return (self.background_error.standard(control) - self._centre).square().sum()

    def zero(self) -> torch.Tensor:
        """The control vector of the background."""
        return self.background.new_zeros(self.background_error.control_size)

    def observing(self, values: torch.Tensor) -> "CostFunction":
        """The same cost of other observed values, (rows,)."""
        other = copy(self)
        other.values = values
        return other

    def perturbed(self, centre: torch.Tensor, values: torch.Tensor) -> "CostFunction":
        """The same cost of other observed values, (rows,), and of another background.

        Parameters
        ----------
        centre : (control_size,)
            The standard normal numbers that this background's control vector stands for, see
            `BackgroundError.standard`: its term is lambda / 2 |S w - centre|^2.
        """
        other = self.observing(values)
        other._centre = centre
        return other


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
    history: list[tuple[float, float, float]] = []
    best = (math.inf, start)

    @torch.enable_grad()
    def evaluate(control: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        nonlocal best
        control = control.detach().requires_grad_(True)
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
            best = (history[-1][0], control.detach())
        progress(f"evaluation {len(history)}: cost {history[-1][0]:.6g}, gradient norm {history[-1][1]:.3g}")
        return value.detach(), gradient

    known = [evaluate(start)]
    first = history[0]
    value, gradient = known[0]
    length = gradient.abs().sum().item() or 1.0
    scale = (_first_step(cost, start, value, gradient) or 1 / length) * length
    unit = min(1.0, scale * length)
    scaled = start / scale

    def closure() -> torch.Tensor:
        value, gradient = known.pop() if known else evaluate(scale * scaled)
        scaled.grad = scale / unit * gradient
        return value / unit

    optimiser = torch.optim.LBFGS(
        [scaled],
        max_iter=settings.iterations,
        history_size=settings.history,
        line_search_fn="strong_wolfe",
        tolerance_grad=settings.gradient_reduction * first[2] * scale / unit,
        tolerance_change=0.0,
    )
    optimiser.step(closure)
    if not best[0] <= first[0]:
        raise DivergenceError(
            f"the minimisation ended at a cost of {best[0]:.6g}, above the {first[0]:.6g} it began at"
        )
    end = next(entry for entry in history if entry[0] == best[0])
    return Minimum(best[1], first[0], best[0], len(history), first[1], end[1])


def _first_step(
    cost: Callable[[torch.Tensor], torch.Tensor], start: torch.Tensor, value: torch.Tensor, gradient: torch.Tensor
) -> float | None:
    """By how much of the gradient g to go at first, |g|^2 / (g' A g): the best step of a quadratic cost.

    It is known from the cost at one point along g; None where that shows no curvature. PyTorch's own first step has a
    1-norm of one, many orders too short, and four evaluations would go to lengthening it; so control vector and cost
    are scaled until that is the best step.
    """
    square = gradient.double().square().sum().item()
    probe = PROBED * abs(value.item()) / square if square else 0.0
    with torch.no_grad():
        reached = cost(start - probe * gradient).item()
    curvature = 2 * (reached - value.item() + probe * square)
    if not (math.isfinite(curvature) and curvature > 0):
        return None
    return square * probe**2 / curvature
