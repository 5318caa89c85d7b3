"""What an analysis method needs to know of a background error model: control vector in, increment out."""

from collections.abc import Mapping
from typing import Protocol

import torch


class BackgroundError(Protocol):
    """A control-variable transform: control vectors become increments.

    Unless a model says otherwise by `standard`, control vectors are standard normal, and increments then have the
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
        """The standard normal numbers that a control vector stands for, each a multiple of its own, (control_size,)."""
        return control

    def penalty(self, control: torch.Tensor) -> torch.Tensor:
        """Twice the background term: minus the logarithm of the control vector's density, doubled, up to a constant."""
        return self.standard(control).square().sum()

    def parts(self) -> dict[str, slice]:
        """Parts of the control vector, by name, whose increments add up, and whose amplitudes may be wrong apart."""
        return {"static": slice(None)}


class Amplified(BackgroundError):
    """An error model whose parts are given other amplitudes: the increment of the factors times the control vector.

    Parameters
    ----------
    model : BackgroundError
    factors : (control_size,)
        Alike within each of the model's parts.
    """

    def __init__(self, model: BackgroundError, factors: torch.Tensor) -> None:
        self.model = model
        self.control_size = model.control_size
        self._factors = factors

    def increment(self, control: torch.Tensor) -> torch.Tensor:
        """Increment of shape (69, lat, lon), of a control vector of the model."""
        return self.model.increment(self._factors * control)

    def standard(self, control: torch.Tensor) -> torch.Tensor:
        """As of the model: it knows nothing of the factors."""
        return self.model.standard(self._factors * control) / self._factors

    def parts(self) -> dict[str, slice]:
        """Those of the model."""
        return self.model.parts()


def amplified(model: BackgroundError, variances: Mapping[str, float], like: torch.Tensor) -> Amplified:
    """A model whose parts have so many times the variance.

    Parameters
    ----------
    model : BackgroundError
    variances : mapping
        By the names of the model's parts.
    like : Tensor
        Of the type and device of control vectors.
    """
    factors = like.new_ones(model.control_size)
    for name, where in model.parts().items():
        factors[where] = variances[name] ** 0.5
    return Amplified(model, factors)
