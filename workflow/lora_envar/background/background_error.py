"""What an analysis method needs to know of a background error model: control vector in, increment out."""

from typing import Protocol

import torch


class BackgroundError(Protocol):
    """A control-variable transform: control vectors become increments.

    Unless a model says otherwise by `penalty`, control vectors are standard normal, and increments then have the
    model's covariance.

    Attributes
    ----------
    control_size : int
        Length of the control vector.
    """

    control_size: int

    def increment(self, control: torch.Tensor) -> torch.Tensor:
        """Increment on the error grid, shape (69, lat, lon), in the units of the state; zero for a zero control."""
        ...

    def linear_part(self) -> "tuple[BackgroundError, slice] | None":
        """A linear error model that this one contains, and its part of the control vector.

        It is cheap, and minimising over it first gives the whole a far better start. None if the model is itself linear
        or contains none.
        """
        return None

    def penalty(self, control: torch.Tensor) -> torch.Tensor:
        """Twice the background term: minus the logarithm of the control vector's density, doubled, up to a constant."""
        return control.square().sum()
