"""The cost function of a variational analysis.

    J(w) = lambda / 2 |w|^2 + 1/2 sum_i (y_i - H_i(x_b + dx(w)))^2 / r_i^2

with dx the increment of the background error model, |w|^2 as that model says (`penalty`), and R diagonal. All methods
share this code.
"""

from collections.abc import Callable
from copy import copy

import torch

from ..background.background_error import BackgroundError
from ..fields.regridding import Regridder
from ..observations.operator import ObservationOperator


def observed_increment(
    background: torch.Tensor,
    to_state_grid: Callable[[torch.Tensor], torch.Tensor],
    operator: Callable[[torch.Tensor], torch.Tensor],
) -> Callable[[torch.Tensor], torch.Tensor]:
    """H(x_b + .), (rows,), as a function of the increment on the error grid; parameters as of `CostFunction`.

    The increment is regridded to the points that H reads alone: at 0.25 degrees, 1000 columns read 0.1 to 0.4 % of the
    points, and regridding to all of them would be most of what a gradient of 3D-Var costs.
    """
    regrid = to_state_grid if isinstance(to_state_grid, Regridder) and not to_state_grid.identity else None
    if regrid and isinstance(operator, ObservationOperator):
        points, observe = operator.on_points()
        there = background.flatten(1)[:, points]
        to_points = regrid.at(points)
        return lambda increment: observe((there + to_points(increment)).unsqueeze(1))
    return lambda increment: operator(background + to_state_grid(increment))


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
        self._observed_increment = observed_increment(background, to_state_grid, operator)
        self._centre: torch.Tensor | None = None

    def increment(self, control: torch.Tensor) -> torch.Tensor:
        """dx(w) on the state grid, shape (69, lat, lon)."""
        return self.to_state_grid(self.background_error.increment(control))

    def state(self, control: torch.Tensor) -> torch.Tensor:
        """x_b + dx(w), shape (69, lat, lon)."""
        return self.background + self.increment(control)

    def equivalents(self, control: torch.Tensor) -> torch.Tensor:
        """H(x_b + dx(w)), (rows,)."""
        return self._observed_increment(self.background_error.increment(control))

    def __call__(self, control: torch.Tensor) -> torch.Tensor:
        """J, a scalar."""
        departure = (self.values - self.equivalents(control)) / self.errors
        return 0.5 * self.background_weight * self._penalty(control) + 0.5 * departure.square().sum()

    def _penalty(self, control: torch.Tensor) -> torch.Tensor:
        if self._centre is None:
            return self.background_error.penalty(control)
        return (self.background_error.standard(control) - self._centre).square().sum()

    def zero(self) -> torch.Tensor:
        """The control vector of the background."""
        return self.background.new_zeros(self.background_error.control_size)

    def observing(self, values: torch.Tensor) -> "CostFunction":
        """The same cost with other observed values, (rows,)."""
        other = copy(self)
        other.values = values
        return other

    def perturbed(self, centre: torch.Tensor, values: torch.Tensor) -> "CostFunction":
        """The same cost with other observed values, (rows,), and another background.

        Parameters
        ----------
        centre : (control_size,)
            The standard normal numbers that this background's control vector stands for, see
            `BackgroundError.standard`: its term is lambda / 2 |S w - centre|^2.
        """
        other = self.observing(values)
        other._centre = centre
        return other
