"""NeuralGCM (Kochkov et al. 2024, Nature 632) by the package neuralgcm-torch, with its converted checkpoints.

The model lives on sigma levels and on 37 pressure levels of ERA5 outside; it does not know the surface variables of the
state, nor the state its clouds and the sea. So, at every step:

- The 13 levels become the model's, linearly in ln p, geopotential with the curvature that a temperature linear in ln p
  gives it hydrostatically. Above 50 hPa temperature, wind and humidity are those of 50 hPa and geopotential is
  hydrostatic. Clouds start from zero.
- The model brings this to sigma levels by its own learned encoder, runs its steps, and comes back by its decoder.
- 10 m wind, 2 m temperature and sea-level pressure change as their estimates from 1000 hPa do
  (`archive.layout.surface_estimate`).
- Sea-surface temperature and sea ice come from a file and keep their values during a step.

Encoding and decoding at every step loses what the 13 levels do not hold; a longer `step_hours` loses less of it.
"""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr

from ..archive.layout import surface_estimate
from ..archive.opening import open_datasets
from ..fields.constants import GAS_CONSTANT
from ..fields.grid import Grid
from ..fields.state import LEVELS, SURFACE, UPPER_AIR, VARIABLES
from .model import ForecastModel, Times

if TYPE_CHECKING:
    from neuralgcm_torch import PressureLevelModel

#: what a state that has no clouds gives for them
_CLOUDS = ("specific_cloud_ice_water_content", "specific_cloud_liquid_water_content")


class NeuralGCM(ForecastModel):
    """See the module: for states of known date.

    Parameters
    ----------
    model : neuralgcm_torch.PressureLevelModel
        A stochastic model runs with a fixed seed.
    boundary : xarray.Dataset or None
        The forcing variables on the grid of the model, by time; the nearest time within 31 days is taken. Needed if the
        model has such variables.
    step_hours : int

    Raises
    ------
    ValueError
        If a state cannot be brought to the model's grid, levels or variables.
    """

    differentiable = True
    timed = True

    def __init__(self, model: "PressureLevelModel", boundary: xr.Dataset | None = None, step_hours: int = 6) -> None:
        self._model = model
        self.step_hours = step_hours
        self.grid = Grid.from_coordinates(model.latitudes[::-1], model.longitudes)
        levels = np.asarray(model.data_levels, dtype=float)
        self._wanted = [int(np.argmin(np.abs(levels - level))) for level in LEVELS]
        if not np.allclose(levels[self._wanted], LEVELS):
            raise ValueError(f"the model must have all of {LEVELS} hPa among its levels, which are {levels.tolist()}")
        own = {VARIABLES[name][0] for name in UPPER_AIR}
        foreign = [name for name in model.input_variables if name not in own and name not in _CLOUDS]
        if foreign:
            raise ValueError(f"the model needs {', '.join(foreign)}, which the state does not have")
        if step_hours * 3600 % int(model.timestep / np.timedelta64(1, "s")):
            raise ValueError(f"step_hours: {step_hours} h is not a multiple of the model's step, {model.timestep}")
        missing = [name for name in model.forcing_variables if boundary is None or name not in boundary]
        if missing:
            raise ValueError(
                f"the model needs {', '.join(missing)}; give them in the file that its setting boundary names"
            )
        self._boundary = boundary
        self._vertical = _LogPressure(levels, model.device)

    @classmethod
    def load(
        cls,
        weights: str | Path,
        boundary: str | Path | None = None,
        step_hours: int = 6,
        device: torch.device | str = "cpu",
    ) -> "NeuralGCM":
        """Load a converted checkpoint and a netCDF file of the sea.

        Checkpoints are read as tensors, arrays and plain values only; nothing else is unpickled.

        Raises
        ------
        ValueError
            If a file cannot be read or does not fit.
        ImportError
            If neuralgcm-torch is not installed.
        """
        try:
            from neuralgcm_torch import PressureLevelModel
        except ImportError as error:
            raise ImportError("the model neuralgcm needs neuralgcm-torch: pip install -e '.[neuralgcm]'") from error
        arrays: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
            np.ndarray,
            np.dtype,
            np._core.multiarray._reconstruct,
            np._core.multiarray.scalar,
        ]
        arrays += [type(np.dtype(kind)) for kind in (np.float32, np.float64, np.int32, np.int64, bool)]
        try:
            with torch.serialization.safe_globals(arrays):
                checkpoint = torch.load(weights, map_location="cpu", weights_only=True)
            model = PressureLevelModel.from_checkpoint(checkpoint, device=device)
        except Exception as error:  # torch and the package raise errors of many kinds
            raise ValueError(f"{weights} cannot be read as a checkpoint of neuralgcm-torch ({error})") from error
        model.model.requires_grad_(False)
        try:
            return cls(model, None if boundary is None else _read_boundary(boundary, model), step_hours)
        except ValueError as error:
            raise ValueError(f"{weights}: {error}") from None

    def step(self, states: torch.Tensor, previous: torch.Tensor | None = None, valid: Times = None) -> torch.Tensor:
        """Advance states, (batch, 69, lat, lon), each valid at its own time.

        Raises
        ------
        ValueError
            If there are not as many times as states.
        """
        if valid is None:
            raise ValueError("NeuralGCM needs the times at which the states are valid")
        return torch.stack([self._step(state, time) for state, time in zip(states, valid, strict=True)])

    def _step(self, state: torch.Tensor, time: datetime) -> torch.Tensor:
        from neuralgcm_torch.training import rollout_predictions

        model = self._model
        surface, upper = self._split(state)
        fields = self._vertical.to_model(upper)
        start = np.datetime64(time.replace(tzinfo=None), "ns")
        inner = self.step_hours * 3600 // int(model.timestep / np.timedelta64(1, "s"))
        sim_time = torch.as_tensor(model.datetime64_to_sim_time(start + np.arange(inner + 1) * model.timestep))
        # the model's axes are (longitude, latitude), latitude from the south
        inputs = {VARIABLES[name][0]: field.flip(-2).transpose(-1, -2)[None] for name, field in fields.items()}
        inputs |= {name: torch.zeros_like(inputs["temperature"]) for name in _CLOUDS if name in model.input_variables}
        inputs["sim_time"] = sim_time[:1]
        forcings = {"sim_time": sim_time} | {
            name: torch.as_tensor(field).expand(inner + 1, -1, -1) for name, field in self._forcing(start).items()
        }
        (output,), _ = rollout_predictions(model, inputs, forcings, sim_time[-1:], rng=0)
        advanced = {
            name: output[VARIABLES[name][0]][self._wanted].transpose(-1, -2).flip(-2).to(state) for name in UPPER_AIR
        }
        for index, name in enumerate(SURFACE):
            surface[index] = surface[index] + surface_estimate(name, advanced) - surface_estimate(name, upper)
        return torch.cat([torch.stack(surface), *(advanced[name] for name in UPPER_AIR)])

    @staticmethod
    def _split(state: torch.Tensor) -> tuple[list[torch.Tensor], dict[str, torch.Tensor]]:
        surface = list(state[: len(SURFACE)])
        upper = state[len(SURFACE) :].split(len(LEVELS))
        return surface, dict(zip(UPPER_AIR, upper, strict=True))

    def _forcing(self, start: np.datetime64) -> dict[str, np.ndarray]:
        names = self._model.forcing_variables
        if not names or self._boundary is None:
            return {}
        now = self._boundary.sel(time=start, method="nearest")
        if abs(now.time.values - start) > np.timedelta64(31, "D"):
            raise ValueError(
                f"the file that the setting boundary names has no time within 31 days of {start}; add the missing "
                "period"
            )
        return {name: now[name].transpose("longitude", "latitude").values for name in names}


class _LogPressure:
    """Interpolates from the levels of the state, in hPa, to those of the model."""

    def __init__(self, levels: np.ndarray, device: torch.device | str) -> None:
        source = np.log(LEVELS)
        target = np.log(levels)
        above = np.clip(np.searchsorted(source, target), 1, len(source) - 1)
        inside = np.clip(target, source[0], source[-1])
        weight = (inside - source[above - 1]) / (source[above] - source[above - 1])
        # d2z/d(ln p)2 = -R dT/d(ln p), which vanishes at both ends of a layer
        curvature = GAS_CONSTANT / 2 * (inside - source[above - 1]) * (source[above] - inside)
        curvature = curvature / (source[above] - source[above - 1])

        def tensor(values: np.ndarray) -> torch.Tensor:
            return torch.as_tensor(values, dtype=torch.float32, device=device)[:, None, None]

        self._upper = torch.as_tensor(above - 1, device=device)
        self._lower = torch.as_tensor(above, device=device)
        self._weight = tensor(weight)
        self._curvature = tensor(curvature)
        self._beyond = tensor(target - inside)

    def to_model(self, fields: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Fields (level, lat, lon) by short name; constant beyond the ends, geopotential hydrostatic."""

        def linear(field: torch.Tensor) -> torch.Tensor:
            return field[self._upper] + self._weight * (field[self._lower] - field[self._upper])

        on_levels = {name: linear(field) for name, field in fields.items()}
        temperature = fields["t"]
        slope = temperature[self._lower] - temperature[self._upper]
        on_levels["z"] = on_levels["z"] + self._curvature * slope - GAS_CONSTANT * self._beyond * on_levels["t"]
        return on_levels


def _read_boundary(path: str | Path, model: "PressureLevelModel") -> xr.Dataset:
    """The forcing variables of a netCDF file on the model's grid; land is given the nearest sea."""
    from dinosaur_torch.xarray_utils import ensure_ascending_latitude, fill_nan_with_nearest

    with open_datasets(path)[0] as dataset:
        missing = [name for name in model.forcing_variables if name not in dataset]
        if missing:
            raise ValueError(f"{path} has no {', '.join(missing)}; add what is missing")
        boundary = ensure_ascending_latitude(dataset[list(model.forcing_variables)].load())
    if "time" not in boundary.dims:
        boundary = boundary.expand_dims("time")
    for axis, wanted in (("latitude", model.latitudes), ("longitude", model.longitudes)):
        if boundary.sizes[axis] != len(wanted) or not np.allclose(boundary[axis], wanted, atol=0.02):
            raise ValueError(f"{path}: its {axis}s are not those of the model ({len(wanted)} from {wanted[0]:.2f})")
    return fill_nan_with_nearest(boundary)
