"""NeuralGCM: its own dynamical core on flows whose answers are known, and what its model and its file must have."""

from datetime import UTC, datetime

import numpy as np
import pytest
import torch
import xarray as xr
from lora_envar.fields.grid import Grid
from lora_envar.fields.state import LEVELS, channel_index
from lora_envar.forecast import forecast, load_model
from test_forecast_models import SPRUNG, Trap
from torch import nn

SPEED, EARTH_RADIUS, EARTH_ROTATION, DRY_AIR, TEMPERATURE = 20.0, 6.371e6, 7.292e-5, 287.05, 280.0
REFERENCE_TIME = datetime(2020, 1, 1, tzinfo=UTC)


class NoPhysics(nn.Module):
    """In place of the learned physics: no tendencies; keeps the forcing that it was shown."""

    def forward(self, state, memory, diagnostics, randomness, forcing):
        self.forcing = forcing
        zeros = torch.utils._pytree.tree_map(torch.zeros_like, state)
        return zeros


def dynamical_core():
    """NeuralGCM's own encoder, dynamical core and decoder at T21 with 16 levels, in SI units, without its networks."""
    pytest.importorskip("neuralgcm_torch")
    from dinosaur_torch import coordinate_systems, primitive_equations, sigma_coordinates, spherical_harmonic
    from dinosaur_torch import vertical_interpolation as vertical
    from neuralgcm_torch import api, checkpoint, correctors, decoders, encoders, forcings, models, steps, stochastic

    levels = np.array([10.0, 20, 30, *LEVELS, 975])
    levels.sort()
    config = {
        "model_grid": {
            "longitude_wavenumbers": 22,
            "total_wavenumbers": 23,
            "longitude_nodes": 64,
            "latitude_nodes": 32,
            "radius": EARTH_RADIUS,
        },
        "data_grid": None,
        "data_pressure_levels": levels.tolist(),
        "timestep_seconds": 1800.0,
        "reference_datetime": "2020-01-01T00:00:00",
        "physics": {
            "radius": EARTH_RADIUS,
            "angular_velocity": EARTH_ROTATION,
            "gravity_acceleration": 9.80665,
            "ideal_gas_constant": DRY_AIR,
            "water_vapor_gas_constant": 461.0,
            "water_vapor_isobaric_heat_capacity": 1860.0,
            "kappa": 2 / 7,
        },
        "scale_si": {"length_m": 1.0, "time_s": 1.0, "mass_kg": 1.0, "temperature_K": 1.0},
        "input_variables": [
            "geopotential",
            "specific_humidity",
            "temperature",
            "u_component_of_wind",
            "v_component_of_wind",
            "specific_cloud_ice_water_content",
        ],
        "tracer_variables": ["specific_humidity", "specific_cloud_ice_water_content"],
        "forcing_variables": ["sea_surface_temperature"],
    }
    physics = checkpoint.sim_units_from_config(config)
    grid = spherical_harmonic.Grid(checkpoint.grid_spec_from_config(config["model_grid"]))
    sigma = sigma_coordinates.SigmaCoordinates(np.linspace(0, 1, 17))
    coords = coordinate_systems.CoordinateSystem(grid, sigma_coordinates.SigmaLevels(sigma))
    pressure = vertical.PressureLevels(vertical.PressureCoordinates(levels * 100))
    outside = coordinate_systems.CoordinateSystem(grid, pressure)
    reference, flat = np.full(16, TEMPERATURE), torch.zeros(grid.modal_shape)
    equations = primitive_equations.PrimitiveEquations(reference, flat, coords, physics)
    orography = NoOrography(grid.modal_shape)
    model = models.StochasticModularStepModel(
        encoders.WeatherbenchToPrimitiveEncoder(coords, outside, reference, orography, 9.80665),
        decoders.PrimitiveToWeatherbenchDecoder(
            coords,
            outside,
            reference,
            orography,
            primitive_equations.Geopotential(sigma, 9.80665, DRY_AIR, 461.0),
        ),
        steps.StochasticPhysicsParameterizationStep(
            correctors.DycoreWithPhysicsCorrector(equations, 1800.0, 1),
            NoPhysics(),
            stochastic.ZerosRandomField(grid),
        ),
        forcings.DynamicDataForcing(physics, {"sea_surface_temperature": "kelvin", "sim_time": "second"}),
    )
    return api.PressureLevelModel(model, config)


class NoOrography(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.register_buffer("orography", torch.zeros(shape))

    def forward(self):
        return self.orography


def sea(model):
    shape = (2, len(model.latitudes), len(model.longitudes))
    values = np.broadcast_to(np.array([290.0, 300.0])[:, None, None], shape)
    axes = {"latitude": model.latitudes, "longitude": model.longitudes}
    times = np.array(["2020-01-01", "2020-01-11"], dtype="datetime64[ns]")
    field = (("time", "latitude", "longitude"), values.astype(np.float32))
    return xr.Dataset({"sea_surface_temperature": field}, {"time": times, **axes})


def solid_body_rotation(grid, turned=0.0):
    """An isothermal atmosphere that turns like a solid, which is steady, and humidity that it carries with it.

    ln ps = ln p0 - (a Omega U + U^2 / 2) sin^2(lat) / (R T), and z = R T ln(ps / p) on a flat Earth.
    """
    sine, cosine = np.sin(np.radians(grid.latitude))[:, None], np.cos(np.radians(grid.latitude))[:, None]
    east = np.radians(grid.longitude)
    wind = SPEED * cosine * np.ones_like(east)
    excess = -(EARTH_RADIUS * EARTH_ROTATION * SPEED + SPEED**2 / 2) * sine**2 * np.ones_like(east)
    humidity = 1e-4 * (1 + 0.5 * cosine * np.cos(east - 1.0 - turned) + 0.3 * sine)
    log_profile = np.log(10 / 0.01) / np.log(100 / 0.01)
    surface = [wind * log_profile, 0 * wind, TEMPERATURE + 0 * wind, 1.01e5 + 0 * wind]
    z = [DRY_AIR * TEMPERATURE * np.log(1020 / level) + excess for level in LEVELS]
    upper = [*z, *[humidity] * 13, *[wind] * 13, *[0 * wind] * 13, *[TEMPERATURE + 0 * wind] * 13]
    return torch.as_tensor(np.stack([*surface, *upper]), dtype=torch.float32)


def test_neuralgcm_s_core_turns_humidity_eastward_and_keeps_a_steady_state():
    from lora_envar.forecast.neuralgcm import NeuralGCM

    core = dynamical_core()
    model = NeuralGCM(core, sea(core), 6)
    assert (model.grid, model.step_hours) == (Grid("gaussian", 32, 64), 6)
    assert model.differentiable and model.timed
    start = solid_body_rotation(model.grid)
    found = forecast(model, start[None], 6, valid=[REFERENCE_TIME])
    expected = solid_body_rotation(model.grid, turned=SPEED * 6 * 3600 / EARTH_RADIUS)
    # carried along by 3.9 degrees, which changes humidity by up to 3.4e-6
    low = slice(channel_index("q300"), channel_index("q850") + 1)
    assert (expected[low] - start[low]).abs().max() > 3e-6
    assert (found[0, low] - expected[low]).abs().max() < 1e-7
    # z of the decoder is linear in sigma between levels 1/16 apart: off by R T (0.0625 / 0.5)^2 / 8 = 157 m2/s2, and
    # 1.5 times that with the error of surface pressure; the balance of wind and temperature is off by some 1 %
    for name, bound in (("u500", 0.2), ("v500", 0.2), ("u850", 0.2), ("t500", 0.2), ("t850", 0.2), ("z500", 240.0)):
        assert (found[0, channel_index(name)] - start[channel_index(name)]).abs().max() < bound, name
    # near the ground: what was there, and the change of the estimate from 1000 hPa
    for name, bound in (("t2m", 0.2), ("u10", 0.2)):
        assert (found[0, channel_index(name)] - start[channel_index(name)]).abs().max() < bound, name
    shown = core.model.advance_module.physics_parameterization.forcing["sea_surface_temperature"]
    assert (shown == 290).all(), "the time nearest to the first of January"
    forecast(model, start[None], 6, valid=[datetime(2020, 1, 9, tzinfo=UTC)])
    shown = core.model.advance_module.physics_parameterization.forcing["sea_surface_temperature"]
    assert (shown == 300).all()
    with pytest.raises(ValueError, match="no time within 31 days of 2021"):
        forecast(model, start[None], 6, valid=[datetime(2021, 1, 1, tzinfo=UTC)])


def test_gradients_flow_through_neuralgcm():
    """Along a random direction, the derivative is the difference quotient, in float32 to about 1 %."""
    from lora_envar.forecast.neuralgcm import NeuralGCM

    core = dynamical_core()
    model = NeuralGCM(core, sea(core), 1)
    start = solid_body_rotation(model.grid)[None]
    scale = torch.tensor([5.0, 5, 1, 100, *[100.0] * 13, *[1e-5] * 13, *[5.0] * 26, *[1.0] * 13]).view(1, 69, 1, 1)
    from lora_envar.fields.harmonics import SphericalHarmonics

    smooth = SphericalHarmonics(model.grid, 5)
    draws = torch.randn(2, 69, smooth.size, generator=torch.Generator().manual_seed(3))
    direction, weights = smooth.synthesise(draws).split(1)

    def score(state):
        return (weights * model.step(state, valid=[REFERENCE_TIME]) / scale).mean()

    variable = start.clone().requires_grad_()
    score(variable).backward()
    derivative = (variable.grad * direction * scale).sum().item()
    step = 0.05
    with torch.no_grad():
        quotient = (score(start + step * scale * direction) - score(start - step * scale * direction)) / (2 * step)
    assert abs(derivative) > 1e-3
    assert derivative == pytest.approx(quotient.item(), rel=2e-2)


def test_neuralgcm_needs_what_its_model_needs():
    from lora_envar.forecast.neuralgcm import NeuralGCM

    core = dynamical_core()
    with pytest.raises(
        ValueError, match="needs sea_surface_temperature; give them in the file that its setting boundary"
    ):
        NeuralGCM(core)
    core.config["input_variables"].append("ozone")
    with pytest.raises(ValueError, match="needs ozone, which the state does not have"):
        NeuralGCM(core, sea(core))
    core.config["input_variables"].pop()
    core.config["data_pressure_levels"] = [level for level in core.config["data_pressure_levels"] if level != 700]
    with pytest.raises(ValueError, match=r"must have all of .* among its levels"):
        NeuralGCM(core, sea(core))


def test_levels_between_and_above_those_of_the_state_are_hydrostatic():
    """Where temperature is linear in ln p, z is quadratic in it and given back; above 50 hPa it is isothermal."""
    pytest.importorskip("neuralgcm_torch")
    from lora_envar.forecast.neuralgcm import _LogPressure

    levels = np.array([10.0, 50, 125, 350, 775, 1000])

    def profile(pressure):
        x = np.log(np.asarray(pressure, dtype=float))
        temperature, z = 150 + 20 * x, 3e5 - 287.05 * (150 * x + 10 * x**2)
        return {"t": torch.as_tensor(temperature)[:, None, None], "z": torch.as_tensor(z)[:, None, None]}

    found, expected = _LogPressure(levels, "cpu").to_model(profile(LEVELS)), profile(levels)
    for name in ("t", "z"):
        torch.testing.assert_close(found[name][1:], expected[name][1:], rtol=1e-5, atol=1e-2)
    torch.testing.assert_close(found["t"][0], expected["t"][1])
    above = expected["z"][1] + 287.05 * expected["t"][1] * np.log(5.0)
    torch.testing.assert_close(found["z"][0], above, rtol=1e-6, atol=0)


def test_a_checkpoint_of_neuralgcm_is_read_without_unpickling(tmp_path):
    pytest.importorskip("neuralgcm_torch")
    torch.save({"format_version": 1, "config": Trap()}, tmp_path / "trapped.pt")
    SPRUNG.clear()
    with pytest.raises(ValueError, match=r"trapped\.pt cannot be read as a checkpoint"):
        load_model("neuralgcm", tmp_path / "trapped.pt")
    assert not SPRUNG
    # arrays, as in the published ones, are read; the model is missing in this one
    arrays = {"orography": np.zeros((2, 3)), "mask": np.ones(3, bool), "step": np.float64(1.0)}
    torch.save({"format_version": 1, "config": {}, "aux_features": arrays}, tmp_path / "arrays.pt")
    with pytest.raises(ValueError, match="lacks the model bindings"):
        load_model("neuralgcm", tmp_path / "arrays.pt")
