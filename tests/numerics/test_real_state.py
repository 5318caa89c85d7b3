"""A real state: columns drawn from ERA5 bring a background with an NMC error closer to it, on the example's grid."""

from datetime import UTC, datetime

import numpy as np
import torch
from conftest import ROOT, prepared
from lora_envar.analysis.assimilate import Case, assimilate
from lora_envar.analysis.minimisation import MinimiserSettings
from lora_envar.archive import SOURCES
from lora_envar.background.spectral import GaussianBackgroundError, SpectralField, covariance_root, estimate_covariance
from lora_envar.example_world.packed import read_coefficients
from lora_envar.example_world.twin import SimulatedNetwork, draw_columns, simulate
from lora_envar.fields.grid import Grid
from lora_envar.fields.harmonics import SphericalHarmonics
from lora_envar.fields.state import SURFACE, channel_index
from lora_envar.forecast import forecast
from lora_envar.forecast.emulator import Emulator


def test_assimilation_brings_the_background_closer_to_era5(shared_data, tmp_path):
    time, grid = datetime(1959, 1, 2, tzinfo=UTC), Grid("gaussian", 32, 64)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "era5.nc").symlink_to(shared_data / "era5_tl31_19590102T00.nc")
    SOURCES["files"].fetch({"path": str(tmp_path / "in"), "derive": SURFACE}, [time], tmp_path / "raw.nc")
    truth = prepared(tmp_path / "raw.nc", grid, 21, SURFACE)[1][0]

    # NMC errors of the example's model: a small set to fit the covariance, and one apart from it for the background
    model = Emulator.load(ROOT / "resources" / "example" / "emulator.safetensors")
    harmonics = SphericalHarmonics(grid, 21)
    _, coefficients = read_coefficients(ROOT / "resources" / "example" / "archive.nc")
    starts = list(range(0, 380, 19))
    long = forecast(model, harmonics.synthesise(coefficients[starts]), 48)
    short = forecast(model, harmonics.synthesise(coefficients[[s + 4 for s in starts]]), 24)
    errors = long - short
    deviation = grid.mean(errors[:-1] ** 2).mean(0).sqrt()
    normalised = errors[:-1] / deviation[:, None, None]
    root = covariance_root(estimate_covariance([normalised], harmonics)).float()
    background_error = GaussianBackgroundError(SpectralField(root, harmonics), deviation)

    background = truth + errors[-1].numpy()
    columns = draw_columns(grid, 700, "quasi_uniform", 1)
    table = simulate(lambda _: truth, [time], grid, SimulatedNetwork(columns, 0.2 * deviation.numpy(), True, 1))
    case = Case(background, grid, grid, table, MinimiserSettings(), progress=lambda line: None)
    result = assimilate(case, background_error, 1.0)
    for name in ("z500", "t850", "u500", "q700"):
        index = channel_index(name)
        before, after = (
            np.sqrt(grid.mean((state[index] - truth[index]).astype(float) ** 2)) for state in (background, result.state)
        )
        assert after < 0.5 * before, f"{name}: {before:.3g} -> {after:.3g}"
    assert torch.isfinite(torch.from_numpy(result.state)).all()
