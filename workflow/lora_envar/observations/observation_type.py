"""The interface of a type of observation: what is measured, how it follows from the state, its error and its limits.

A type is a class in a module of ``observations/types/``; nothing else lists it. A type that is not a variable of the
state declares its input variables and a function of them. For example, the wind speed at 10 m:

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

Snakemake imports these modules at every start, so they import torch only for type checkers.
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
    """The variable of a type in JEDI's Interface for Observation Data Access (IODA), see `export.ioda`.

    Names and units are those of share/ioda/yaml/validation/ObsSpace.yaml in https://github.com/JCSDA/ioda.

    Attributes
    ----------
    name : str
        ``airTemperature``.
    units : str
        Units in IODA, in the notation of UDUNITS.
    factor : float
        Factor that converts values, errors and departures from the type's units to these.
    obs_space : str or None
        The observation space, and so the file, of this type alone; None if it depends on the report type.
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
        Its name in tables and configurations.
    code : int
        Its permanent code in netCDF files, from 0 to 127; no other type may have or have had it.
    long_name : str
    units : str
        Units of values and errors, at most eight characters.
    standard_name : str or None
        The standard name of CF, if there is one.
    inputs : tuple of str
        Variables of the state from which it follows, keys of `fields.state.VARIABLES`; at the surface, only surface
        variables.
    surface : bool
        Whether it belongs to the surface and so has no vertical coordinate.
    limits : tuple of float
        Smallest and largest possible value of `limited`.
    margin : float
        The share of their width by which the limits are widened on both sides when a table is read: fill values and
        values in other units lie beyond them, but errors and simulated worlds within.
    layer_edges : array
        ln of the pressures (hPa), ascending, that separate the layers in which thinning keeps one datum per cell.
    vector : str or None
        The vector that it is a component of; if one component of a report is rejected by its departure, all are.
    shown_levels : tuple of int
        Levels (hPa, 0 at the surface) at which a report shows how analyses fit it.
    shown_units : tuple of str and float, or None
        Units in the report, and the factor that converts values to them; None for `units`.
    ioda : IodaVariable or None
        Its variable in files of IODA; a type without one is not exported.
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
        """The equivalent of the measurement: a differentiable function of the state at the place of each datum.

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
        """Standard deviation of the observation error, (rows,), where neither the datum nor a table of errors gives it.

        Parameters
        ----------
        pressure : (rows,)
            In hPa; not a number at the surface.
        value : (rows,)
            In `units`.
        """

    def limited(self, value: np.ndarray, pressure: np.ndarray) -> np.ndarray:
        """The quantity that the limits bound, (rows,), in `units`: the value itself, unless a type overrides it."""
        return value


class StateVariable(ObservationType):
    """A variable of the state that is measured directly. Its errors come from the table of errors."""

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
        """Raise ValueError, because the errors of these types must be given."""
        raise ValueError(
            f"there is no observation error for {self.name}; give one with each datum, or name a table of errors "
            "(error_table)"
        )
