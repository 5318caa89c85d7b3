"""What an analysis method needs to know about a background error model: how control vectors become increments."""

from collections.abc import Mapping
from typing import Protocol

import torch


class BackgroundError(Protocol):
    """A control-variable transform, which turns control vectors into increments.

    Unless a model overrides `standard`, control vectors are standard normal, and increments then have the
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

    def standard(self, control: torch.Tensor) -> torch.Tensor:
        """The standard normal numbers, (control_size,), that a control vector stands for, up to a factor for each."""
        return control

    def penalty(self, control: torch.Tensor) -> torch.Tensor:
        """Twice the background term: minus the logarithm of the control vector's density, doubled, up to a constant."""
        return self.standard(control).square().sum()

    def parts(self) -> dict[str, slice]:
        """Parts of the control vector by name; their increments add up, and each has an amplitude of its own."""
        return {"static": slice(None)}


class Amplified(BackgroundError):
    """An error model whose parts have other amplitudes: the increment of the factors times the control vector.

    Parameters
    ----------
    model : BackgroundError
    factors : (control_size,)
        The same within each part of the model.
    """

    def __init__(self, model: BackgroundError, factors: torch.Tensor) -> None:
        self.model = model
        self.control_size = model.control_size
        self._factors = factors

    def increment(self, control: torch.Tensor) -> torch.Tensor:
        """The increment, (69, lat, lon), of a control vector of the model."""
        return self.model.increment(self._factors * control)

    def standard(self, control: torch.Tensor) -> torch.Tensor:
        """See the model: the factors do not matter here."""
        return self.model.standard(self._factors * control) / self._factors

    def parts(self) -> dict[str, slice]:
        """The parts of the model."""
        return self.model.parts()


def amplified(model: BackgroundError, variances: Mapping[str, float], like: torch.Tensor) -> Amplified:
    """A model with the variance of its parts multiplied.

    Parameters
    ----------
    model : BackgroundError
    variances : mapping
        The factors, by the names of the model's parts.
    like : Tensor
        Has the type and device of control vectors.
    """
    factors = like.new_ones(model.control_size)
    for name, where in model.parts().items():
        factors[where] = variances[name] ** 0.5
    return Amplified(model, factors)
