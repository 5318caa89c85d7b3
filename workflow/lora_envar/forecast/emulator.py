"""The example's forecast model: a small FengWu-like network that learns the change of a nature run in one step.

x(t + h) = P[x + s_d N((x - m) / s)], with m and s the mean and standard deviation per channel, s_d the standard
deviation of the change in a step of h (6 h to cycle with, 1 h within the windows of 4D-Var), N the network, and P the
projection onto the truncation of the world it was trained in.
It is trained to give the clean next state also from noisy input, so that it damps the noise of analyses.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..fields.grid import Grid
from ..fields.harmonics import SphericalHarmonics
from ..fields.seeds import generator
from ..files.weights import load_weights, save_weights
from ..networks.swin import Network, NetworkSettings, WithoutWeights, mixed_precision
from ..networks.training import TrainingSettings, train
from ..settings import settings_from
from .model import ForecastModel, Times


class Emulator(nn.Module, ForecastModel):
    """See the module.

    Parameters
    ----------
    grid : Grid
    truncation : int or None
        Wavenumber beyond which the output is cut off; None keeps all.
    settings : NetworkSettings
    step_hours : int
    device : str or torch.device
    """

    differentiable = True
    mean: torch.Tensor
    deviation: torch.Tensor
    change_deviation: torch.Tensor

    def __init__(
        self,
        grid: Grid,
        truncation: int | None,
        settings: NetworkSettings,
        step_hours: int = 6,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__()
        self.step_hours = step_hours
        self.grid = grid
        self.truncation = truncation
        self.settings = settings
        self.autocast = False  # run the network, and nothing else, in bfloat16 where it is native
        self.network = Network(settings)
        channels = sum(settings.inputs)
        for name in ("mean", "deviation", "change_deviation"):
            self.register_buffer(name, torch.ones(channels, 1, 1))
        self.to(device)
        self.harmonics = None if truncation is None else SphericalHarmonics(grid, truncation, device=device)

    def step(self, states: torch.Tensor, previous: torch.Tensor | None = None, valid: Times = None) -> torch.Tensor:
        """Advance states, (batch, 69, lat, lon); neither the states before nor the times are looked at."""
        with mixed_precision(states.device, self.autocast):
            change = self.network((states - self.mean) / self.deviation)
        advanced = states + self.change_deviation * change.to(states.dtype)
        return advanced if self.harmonics is None else self.harmonics.project(advanced)

    def save(self, path: str | Path, half: bool = False, **provenance: Any) -> None:
        """Write weights and sizes, as `files.weights.save_weights` does; `provenance` says how it was trained."""
        settings = {
            "grid": asdict(self.grid),
            "truncation": self.truncation,
            "network": asdict(self.settings),
            "step_hours": self.step_hours,
            "provenance": provenance,
        }
        save_weights(path, self.state_dict(), settings, half)

    @classmethod
    def load(cls, path: str | Path, device: torch.device | str = "cpu") -> "Emulator":
        """From a file of `save`, to be run and not trained.

        Raises
        ------
        ValueError
            If the file cannot be read.
        """
        tensors, settings = load_weights(path)
        network = settings_from(NetworkSettings, settings["network"])
        with WithoutWeights():
            model = cls(Grid(**settings["grid"]), settings["truncation"], network, settings["step_hours"], device)
        model.load_state_dict(tensors)
        return model.eval().requires_grad_(False)


@dataclass(frozen=True)
class EmulatorTraining:
    """How an emulator is trained.

    Attributes
    ----------
    updates : TrainingSettings
    noise : float
        Half of the samples get white noise (all wavenumbers alike) of up to this many standard deviations of the
        change in a step.
    seed : int
    step_hours : int
        Between the states.
    rollout_fraction : float
        The last part of the updates, in which the loss is that of two steps.
    """

    updates: TrainingSettings
    noise: float
    seed: int
    step_hours: int = 6
    rollout_fraction: float = 0.1


def train_emulator(
    segments: Sequence[torch.Tensor],
    grid: Grid,
    truncation: int,
    network: NetworkSettings,
    settings: EmulatorTraining,
    progress: Callable[[str], None] = print,
    device: torch.device | str = "cpu",
) -> Emulator:
    """Train an emulator on segments of spectral coefficients.

    Parameters
    ----------
    segments : sequence of tensors
        Each of shape (time, 69, (T + 1)^2), consecutive states `settings.step_hours` apart.
    grid : Grid
    truncation : int
        T.
    network : NetworkSettings
    settings : EmulatorTraining
    progress : callable
        Gets a line of text now and then.
    device : str or torch.device

    Raises
    ------
    FloatingPointError
        If the loss stops being finite.
    """
    training = settings.updates
    harmonics = SphericalHarmonics(grid, truncation, device=device)
    torch.manual_seed(settings.seed)
    model = Emulator(grid, truncation, network, settings.step_hours, device)
    draws = generator(settings.seed, "emulator")
    with torch.no_grad():
        sample = torch.cat([harmonics.synthesise(segment[::37].to(device)) for segment in segments])
        change = torch.cat(
            [harmonics.synthesise((segment[1:] - segment[:-1])[::37].to(device)) for segment in segments]
        )
        weights = torch.as_tensor(grid.area_weights, dtype=torch.float32, device=device)[:, None]
        mean = (sample * weights).mean((0, 2, 3), keepdim=True)[0]
        model.mean.copy_(mean)
        model.deviation.copy_((((sample - mean) ** 2) * weights).mean((0, 2, 3), keepdim=True)[0].sqrt())
        model.change_deviation.copy_(((change**2) * weights).mean((0, 2, 3), keepdim=True)[0].sqrt())

    lengths = torch.tensor([len(segment) - 2 for segment in segments])
    starts = torch.cumsum(lengths, 0) - lengths

    def loss(step: int) -> torch.Tensor:
        picks = torch.randint(int(lengths.sum()), (training.batch,), generator=draws)
        owner = torch.searchsorted(starts, picks, right=True) - 1
        steps = 2 if step >= training.steps * (1 - settings.rollout_fraction) else 1
        consecutive = torch.stack(
            [segments[s][p - starts[s] : p - starts[s] + steps + 1] for s, p in zip(owner, picks, strict=True)]
        )
        states = harmonics.synthesise(consecutive.to(device)).transpose(0, 1)
        white = (
            torch.randn(training.batch, consecutive.shape[2], harmonics.size, generator=draws) * harmonics.size**-0.5
        )
        amplitude = settings.noise * torch.rand(training.batch, 1, 1, 1, generator=draws)
        noisy = torch.rand(training.batch, 1, 1, 1, generator=draws) < 0.5
        amplitude = torch.where(noisy, amplitude, 0.0)
        advanced = states[0] + amplitude.to(device) * model.change_deviation * harmonics.synthesise(white.to(device))
        errors = []
        for target in states[1:]:
            advanced = model.step(advanced)
            errors.append(((((advanced - target) / model.change_deviation) ** 2) * weights).mean() / steps)
        return sum(errors[1:], errors[0])

    model.autocast = True
    train(model.network.parameters(), loss, training, progress)
    model.autocast = False
    return model.eval().requires_grad_(False)
