"""What a type of observation is: what is measured, how it follows from the state, its error, and what is possible.

A type is a class in a module of ``observations/types/``; nothing else lists it. A type that is no variable of the state
says from which variables it follows and by which function; the speed of the wind at 10 m, for example:

    class WindSpeed(ObservationType):
        name = "wind_speed_10m"
        code = 12
        long_name = "speed of the wind at 10 m"
        units = "m s-1"
        standard_name = "wind_speed"
        inputs = ("u10", "v10")
        surface = True
        limits = (0.0, 100.0)

        def equivalent(self, inputs, pressure):
            return (inputs["u10"] ** 2 + inputs["v10"] ** 2 + 1e-3) ** 0.5

        def error(self, pressure, value):
            return np.full(len(value), 2.0)

Snakemake reads these modules at every start: they import torch for type checkers alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..fields.state import LEVELS, SURFACE, VARIABLES

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

_LOG_LEVELS = np.log(LEVELS)
#: ln p between layers that each hold one level of the state
LAYERS_OF_LEVELS = (_LOG_LEVELS[1:] + _LOG_LEVELS[:-1]) / 2
#: no layers: all data are of one
NO_LAYERS = np.zeros(0)


@dataclass(frozen=True)
class IodaVariable:
    """What a type is called in JEDI's Interface for Observation Data Access (IODA), see `export.ioda`.

    Names and units are those of share/ioda/yaml/validation/ObsSpace.yaml in https://github.com/JCSDA/ioda.

    Attributes
    ----------
    name : str
        ``airTemperature``.
    units : str
        IODA's, in the writing of UDUNITS.
    factor : float
        What brings values, errors and departures of the type's own units to these.
    obs_space : str or None
        The observation space, and so the file, that the type has to itself; None where the type of a report says it.
    """

    name: str
    units: str
    factor: float = 1.0
    obs_space: str | None = None


class ObservationType(ABC):
    """A type of observation.

    Attributes
    ----------
    name : str
        In tables and configurations.
    code : int
        In netCDF files, for good: 0 to 127, of no other type, past or present.
    long_name : str
    units : str
        Of values and errors, at most eight characters.
    standard_name : str or None
        CF's, where there is one.
    inputs : tuple of str
        Variables of the state from which it follows, keys of `fields.state.VARIABLES`; at the surface, such of the
        surface alone.
    surface : bool
        Whether it belongs to the surface and so has no vertical coordinate.
    limits : tuple of float
        Smallest and largest value of `limited` that is possible.
    margin : float
        By how much of their width the limits are widened on both sides where a table is read: fill values and other
        units lie beyond it, what errors and simulated worlds may add lies within.
    layer_edges : array
        ln of the pressures (hPa), ascending, between layers of which thinning leaves one datum per cell.
    vector : str or None
        Vector of which it is a component; where one component of a report is rejected by its departure, all are.
    shown_levels : tuple of int
        Levels (hPa, 0 at the surface) at which a report shows how analyses fit it.
    shown_units : tuple of str and float, or None
        Units in which it does, and what brings values to them; None for `units`.
    ioda : IodaVariable or None
        Its variable in files of IODA; a type without one is not exported there.
    """

    name: ClassVar[str] = ""
    code: ClassVar[int]
    long_name: ClassVar[str]
    units: ClassVar[str]
    standard_name: ClassVar[str | None] = None
    inputs: ClassVar[tuple[str, ...]]
    surface: ClassVar[bool] = False
    limits: ClassVar[tuple[float, float]]
    margin: ClassVar[float] = 0.5
    layer_edges: ClassVar[np.ndarray] = LAYERS_OF_LEVELS
    vector: ClassVar[str | None] = None
    shown_levels: ClassVar[tuple[int, ...]] = ()
    shown_units: ClassVar[tuple[str, float] | None] = None
    ioda: ClassVar[IodaVariable | None] = None

    @abstractmethod
    def equivalent(self, inputs: Mapping[str, torch.Tensor], pressure: torch.Tensor) -> torch.Tensor:
        """What would be measured: a differentiable function of the state at the place of each datum.

        Parameters
        ----------
        inputs : mapping
            Name of each of `inputs` -> its values at the places, (rows,), in the units of the state.
        pressure : (rows,)
            At the places, in hPa; not a number at the surface.

        Returns
        -------
        (rows,)
            In `units`.
        """

    @abstractmethod
    def error(self, pressure: np.ndarray, value: np.ndarray) -> np.ndarray:
        """Standard deviation of the observation error where neither the datum nor a table of errors says it, (rows,).

        Parameters
        ----------
        pressure : (rows,)
            In hPa; not a number at the surface.
        value : (rows,)
            In `units`.
        """

    def limited(self, value: np.ndarray, pressure: np.ndarray) -> np.ndarray:
        """What the limits bound, (rows,), in `units`: the value itself, unless a type says otherwise."""
        return value


class StateVariable(ObservationType):
    """A variable of the state, measured itself; its name says most of it. Errors are those of the table of errors."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        long_name, cls.standard_name, cls.units = VARIABLES[cls.name]
        cls.long_name = long_name.replace("_", " ")
        cls.inputs = (cls.name,)
        cls.surface = cls.name in SURFACE
        cls.layer_edges = NO_LAYERS if cls.surface else LAYERS_OF_LEVELS

    def equivalent(self, inputs: Mapping[str, torch.Tensor], pressure: torch.Tensor) -> torch.Tensor:
        """The variable itself."""
        return inputs[self.name]

    def error(self, pressure: np.ndarray, value: np.ndarray) -> np.ndarray:
        """Refused (ValueError): errors of these types are given."""
        raise ValueError(
            f"there is no observation error for {self.name}; give one with each datum, or name a table of errors "
            "(error_table)"
        )
