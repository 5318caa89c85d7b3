"""The VAEs of a configuration, and what each is made from."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class VAEPlan:
    """An entry of the section `vaes`.

    Attributes
    ----------
    entry : dict
    """

    entry: dict[str, Any]

    @property
    def initial_weights(self) -> str | None:
        """The file that its training continues from, or None."""
        return self.entry.get("initial_weights")

    @property
    def brought(self) -> list[str]:
        """The files that a user brings."""
        return [self.initial_weights] if self.initial_weights else []

    @property
    def trained(self) -> dict[str, Any]:
        """What its training depends on."""
        return {key: value for key, value in self.entry.items() if key != "residual_draws"}
