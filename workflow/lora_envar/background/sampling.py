"""How well an error model resembles the errors behind it: the gates that it must pass before it is cycled."""

from collections.abc import Callable

import torch

from ..fields.grid import Grid
from ..fields.harmonics import SphericalHarmonics
from ..fields.seeds import generator
from ..fields.state import channel_index
from .background_error import BackgroundError

#: pairs whose correlation at the same grid point is compared
PAIRS = (("z500", "u500"), ("z500", "t850"), ("z500", "z850"), ("t850", "q850"), ("u500", "u250"), ("t2m", "msl"))


def control_of(numbers: torch.Tensor, standard: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """Control vectors that stand for standard normal numbers, (..., control_size), see `BackgroundError.standard`."""
    return numbers / standard(numbers.new_ones(numbers.shape[-1]))


def random_control(model: BackgroundError, draws: torch.Generator, device: torch.device | str) -> torch.Tensor:
    """A random control vector, (control_size,)."""
    return control_of(torch.randn(model.control_size, generator=draws).to(device), model.standard)


def draw(model: BackgroundError, count: int, seed: int, device: torch.device | str = "cpu") -> torch.Tensor:
    """Random increments, shape (count, 69, lat, lon)."""
    draws = generator(seed, "samples")
    with torch.no_grad():
        return torch.stack([model.increment(random_control(model, draws, device)) for _ in range(count)])


def deviation_ratio(samples: torch.Tensor, errors: torch.Tensor, grid: Grid) -> torch.Tensor:
    """Standard deviation of samples divided by that of errors, per channel, (69,)."""
    return (grid.mean(samples**2).mean(0) / grid.mean(errors**2).mean(0)).sqrt()


def spectrum_ratio(samples: torch.Tensor, errors: torch.Tensor, harmonics: SphericalHarmonics) -> torch.Tensor:
    """Power of samples divided by that of errors, per channel and total wavenumber, (69, T + 1)."""
    return harmonics.power(samples).mean(0) / harmonics.power(errors).mean(0)


def correlation(fields: torch.Tensor, first: str, second: str, grid: Grid) -> float:
    """Correlation of two channels at the same grid point, over the area and the samples."""
    a = fields[:, channel_index(first)]
    b = fields[:, channel_index(second)]
    return (grid.mean(a * b).mean() / (grid.mean(a**2).mean() * grid.mean(b**2).mean()).sqrt()).item()
