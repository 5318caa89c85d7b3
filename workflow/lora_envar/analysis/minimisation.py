"""Minimisation by L-BFGS, with line searches that cost nothing where the cost is quadratic.

Along a line, a quadratic cost and its gradient are known everywhere once they are known at two points: the gradient is
linear there. So one evaluation an iteration gives the lowest point of the line, and with it the method is that of
conjugate gradients (Nazareth, 1979, https://doi.org/10.1137/0716059). Whether the cost is quadratic is seen from the
two values: their difference is then the mean of the two slopes. Where it is not, the evaluated point is taken if the
cost is low enough there (Armijo's rule), and the step is shortened if not. Variational costs are quadratic where
increments and observation operators are linear, and nearly so with a VAE.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

import torch

#: gives the cost of a control vector, a scalar that can be differentiated
Cost: TypeAlias = Callable[[torch.Tensor], torch.Tensor]

#: of the cost, the fall by which the curvature along the first direction is probed
PROBED = 0.3
#: a cost is quadratic along a line if its change is the mean slope but for this share, which grows as the square of
#: how far the lowest point lies beyond the evaluated one
QUADRATIC = 0.1
#: of a cost or a gradient, what may be rounding, in units of the last place of its numbers
ROUNDING = 16
#: Armijo's rule: the cost falls at least by this share of what the slope says
SUFFICIENT = 1e-4
#: how often a step is shortened
SHORTENED = 10


class DivergenceError(ArithmeticError):
    """The cost or its gradient is no longer finite."""


@dataclass(frozen=True)
class MinimiserSettings:
    """When a minimisation stops, and how much it remembers.

    Attributes
    ----------
    iterations : int
        The largest number of iterations.
    history : int
        Number of steps whose curvature is remembered.
    gradient_reduction : float
        It stops when the norm of the gradient has fallen by this factor.
    """

    iterations: int = 40
    history: int = 40
    gradient_reduction: float = 0.005


class Curvature:
    """What a minimisation has learned about the second derivatives of its cost: steps and changes of the gradient.

    Parameters
    ----------
    history : int
        How many are kept.
    learned : sequence of (step, change, product)
        By another minimisation.
    """

    def __init__(self, history: int, learned: Sequence[tuple[torch.Tensor, torch.Tensor, float]] = ()) -> None:
        self._history = history
        self._learned = list(learned)

    def __bool__(self) -> bool:
        return bool(self._learned)

    def extended(self, history: int) -> "Curvature":
        """The same curvature, with room for more steps."""
        return Curvature(len(self._learned) + history, self._learned)

    def learn(self, step: torch.Tensor, change: torch.Tensor, product: float) -> None:
        """Remember a step, the change of the gradient over it, and their scalar product, which is positive."""
        self._learned.append((step, change, product))
        del self._learned[: -self._history]

    def descent(self, gradient: torch.Tensor) -> torch.Tensor:
        """The step to where the gradient would be zero: minus the inverse of the second derivatives times the gradient.

        By the two-loop recursion (Nocedal, 1980, https://doi.org/10.2307/2006193).
        """
        direction = -gradient
        shares = []
        for step, change, product in reversed(self._learned):
            shares.append(torch.dot(step, direction) / product)
            direction = direction - shares[-1] * change
        _, change, product = self._learned[-1]
        direction = direction * (product / torch.dot(change, change))
        for (step, change, product), share in zip(self._learned, reversed(shares), strict=True):
            direction = direction + step * (share - torch.dot(change, direction) / product)
        return direction


@dataclass(frozen=True)
class Minimum:
    """Result of `minimise`.

    Attributes
    ----------
    control : Tensor
        The control vector.
    cost_start, cost_end : float
    evaluations : int
        Of the cost and its gradient.
    gradient_start, gradient_end : float
        Norms of the gradient. Where the cost is quadratic, that of the end follows from those of the last line.
    curvature : Curvature
        What was learned, for use with other costs that have the same second derivatives.
    """

    control: torch.Tensor
    cost_start: float
    cost_end: float
    evaluations: int
    gradient_start: float
    gradient_end: float
    curvature: Curvature


@dataclass(frozen=True)
class _Point:
    """A control vector with its cost and gradient, which were evaluated there or derived from other points."""

    control: torch.Tensor
    value: float
    gradient: torch.Tensor
    norm: float
    evaluated: bool = True


class _Evaluations:
    """A cost that counts its evaluations and remembers its lowest point."""

    def __init__(self, cost: Cost, progress: Callable[[str], None]) -> None:
        self._cost = cost
        self._progress = progress
        self.count = 0
        self._lowest: _Point | None = None

    @torch.enable_grad()
    def __call__(self, control: torch.Tensor) -> _Point:
        control = control.detach().requires_grad_(True)
        cost = self._cost(control)
        (gradient,) = torch.autograd.grad(cost, control)
        self.count += 1
        # one transfer from the GPU
        value, norm = torch.stack([cost.detach(), gradient.norm().to(cost)]).tolist()
        if not (math.isfinite(value) and math.isfinite(norm)):
            raise DivergenceError(
                f"the minimisation diverged: at evaluation {self.count} the cost is {value} and the norm of the "
                f"gradient {norm}; check the background, the observations and the error model"
            )
        self._progress(f"evaluation {self.count}: cost {value:.6g}, gradient norm {norm:.3g}")
        point = _Point(control.detach(), value, gradient, norm)
        if self._lowest is None or value < self._lowest.value:
            self._lowest = point
        return point

    def lowest_of(self, point: _Point) -> _Point:
        """The point with its true cost, or the lowest evaluated point if that is lower."""
        if not point.evaluated:
            with torch.no_grad():
                point = replace(point, value=self._cost(point.control).item())
        return point if self._lowest is None or point.value <= self._lowest.value else self._lowest


class _Line:
    """The cost between two points that are a step apart."""

    def __init__(self, start: _Point, step: torch.Tensor, end: _Point) -> None:
        self._start = start
        self._step = step
        self.end = end
        vectors = torch.stack([start.gradient, end.gradient, step]).double()
        (self._before, self._both, self.slope), (_, self._after, slope_at_end), _ = (vectors @ vectors.T).tolist()
        self._rounding = ROUNDING * torch.finfo(step.dtype).eps
        self.curvature = slope_at_end - self.slope

    @cached_property
    def quadratic(self) -> bool:
        """Whether the change of the cost is the mean of the slopes at both ends, and the cost has a lowest point."""
        if self.curvature <= 0:
            return False
        expected = self.slope + self.curvature / 2
        off = abs(self.end.value - self._start.value - expected)
        scale = max(abs(expected), abs(self.slope) / 2)
        beyond = max(1.0, (self.slope / self.curvature) ** 2)
        return off * beyond <= QUADRATIC * scale + self._rounding * abs(self._start.value)

    @cached_property
    def _change(self) -> torch.Tensor:
        """Of the gradient."""
        return self.end.gradient - self._start.gradient

    @property
    def _squared_change(self) -> float:
        return self._after - 2 * self._both + self._before

    @property
    def falls(self) -> bool:
        """Whether the cost is lower at the end, by enough."""
        return self.slope < 0 and self.end.value <= self._start.value + SUFFICIENT * self.slope

    @property
    def ends_well(self) -> bool:
        """Whether the line leads on."""
        return self.falls or (self.slope < 0 and self.quadratic)

    def lowest(self) -> _Point:
        """The lowest point of a quadratic cost on the line."""
        share = -self.slope / self.curvature
        square = self._before + 2 * share * (self._both - self._before) + share**2 * self._squared_change
        return _Point(
            self._start.control + share * self._step,
            self._start.value + share * self.slope / 2,
            self._start.gradient + share * self._change,
            math.sqrt(max(square, 0.0)),
            evaluated=False,
        )

    def shorter(self) -> torch.Tensor:
        """A step to the lowest point of the parabola through both costs and the slope, between a tenth and a half."""
        excess = self.end.value - self._start.value - self.slope
        share = -self.slope / (2 * excess) if excess > 0 else 0.5
        return min(max(share, 0.1), 0.5) * self._step

    def teach(self, curvature: Curvature) -> None:
        """Let the step be learned from, if both gradients are known well and their difference is not rounding."""
        known = self.quadratic or (self._start.evaluated and self.curvature > 0)
        if known and self._squared_change > (self._rounding * self.end.norm) ** 2:
            curvature.learn(self._step, self._change, self.curvature)


def minimise(
    cost: Cost,
    start: torch.Tensor,
    settings: MinimiserSettings,
    progress: Callable[[str], None] = print,
    curvature: Curvature | None = None,
) -> Minimum:
    """Minimise a differentiable cost from `start`, a vector.

    Parameters
    ----------
    cost : callable
        From a control vector to a scalar.
    start : (size,)
    settings : MinimiserSettings
    progress : callable
        Receives one line of text at every evaluation.
    curvature : Curvature, optional
        What was learned from a cost with about the same second derivatives, which saves about a quarter of the
        evaluations. It stays as it is.

    Raises
    ------
    DivergenceError
        If the cost or its gradient is no longer finite.
    """
    evaluate = _Evaluations(cost, progress)
    first = evaluate(start)
    learned = curvature.extended(settings.history) if curvature else Curvature(settings.history)
    point = first
    goal = settings.gradient_reduction * first.norm
    for _ in range(settings.iterations):
        if point.norm <= goal and not point.evaluated:
            point = evaluate(point.control)
        if point.norm <= goal:
            break
        line = _next_line(evaluate, point, learned)
        if line.ends_well:
            line.teach(learned)
            point = line.lowest() if line.quadratic else line.end
        elif point.evaluated:
            break
        else:
            point = evaluate(point.control)
    end = evaluate.lowest_of(point)
    return Minimum(end.control, first.value, end.value, evaluate.count, first.norm, end.norm, learned)


def _next_line(evaluate: _Evaluations, point: _Point, learned: Curvature) -> _Line:
    """A line from a point to one where the cost has fallen or is quadratic on the way, if there is one.

    It follows the direction that the curvature gives or, if that does not lead down, the gradient. From a point that
    was not evaluated, only one step is tried.
    """
    if learned:
        line = _search(evaluate, point, learned.descent(point.gradient))
        if line.ends_well or not point.evaluated:
            return line
    return _search(evaluate, point, _probe(point))


def _search(evaluate: _Evaluations, point: _Point, step: torch.Tensor) -> _Line:
    line = _Line(point, step, evaluate(point.control + step))
    for _ in range(SHORTENED if point.evaluated else 0):
        if line.ends_well or line.slope >= 0:
            break
        step = line.shorter()
        line = _Line(point, step, evaluate(point.control + step))
    return line


def _probe(point: _Point) -> torch.Tensor:
    """A step down the gradient that would lower a linear cost by the share `PROBED`."""
    return point.gradient * (-PROBED * (abs(point.value) or 1.0) / point.norm**2)
