"""What a user allows to be done to the data of an archive, from the section `archive` of the configuration."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Options:
    """What may be done to data that are not yet states.

    Attributes
    ----------
    derive : tuple of str
        Surface variables that may be derived if they are missing, see `layout.surface_estimate`.
    member : int or None
        The ensemble member to read.
    interpolate_levels : bool
        Whether missing levels may be interpolated, linearly in the logarithm of pressure, between those around them.
    """

    derive: tuple[str, ...] = ()
    member: int | None = None
    interpolate_levels: bool = False

    @classmethod
    def from_settings(cls, archive: dict[str, Any]) -> "Options":
        """Read the options from the configuration's section `archive`."""
        derive = tuple(archive.get("derive", ()))
        return cls(derive, archive.get("member"), archive.get("interpolate_levels", False))


#: nothing beyond what can be done without loss
AS_THEY_COME = Options()
