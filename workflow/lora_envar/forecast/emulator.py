"""The workflow's own forecast model: a small FengWu-like network that learns the change of states in one step.

x(t + h) = P[x + s_d N((x - m) / s)], with m and s the mean and standard deviation per channel, s_d the standard
deviation of the change in a step of h (6 h to cycle with, 1 h within the windows of 4D-Var), N the network, and P the
projection onto the truncation of the world it was trained in.
It is trained to return the clean next state even from noisy input, so that it damps the noise of analyses.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..fields.grid import Grid
from ..fields.harmonics import SphericalHarmonics, finest_truncation
from ..fields.seeds import generator
from ..fields.spreading import evenly
from ..fields.state import CHANNELS
from ..files.kept_weights import shared_weights
from ..files.weights import save_weights
from ..networks.checkpoint import Checkpoint
from ..networks.swin import Network, NetworkSettings, mixed_precision, move, put_weights, without_weights
from ..networks.training import Course, Draws, TrainingSettings, Validation, train
from ..networks.workers import ALONE, Workers
from ..settings import settings_from
from .model import ForecastModel, Times
from .trajectories import ROLLOUT, Trajectories, area_weights

#: most steps that a look at the validation loss takes
LOOKED_AT = 64


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
        move(self, device)
        self.harmonics = None if truncation is None else SphericalHarmonics(grid, truncation, device=device)

    def step(self, states: torch.Tensor, previous: torch.Tensor | None = None, valid: Times = None) -> torch.Tensor:
        """Advance states, (batch, 69, lat, lon); earlier states and times are not used."""
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
        """Load a model that `save` wrote, to be run and not trained.

        Raises
        ------
        ValueError
            If the file cannot be read.
        """
        tensors, settings = shared_weights(path, device)
        network = settings_from(NetworkSettings, settings["network"])
        with without_weights():
            model = cls(Grid(**settings["grid"]), settings["truncation"], network, settings["step_hours"], device)
        put_weights(model, tensors, device)
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
        The last share of the updates, in which the loss is that of two steps.
    look_every : int
        Updates between two validations, if there is a validation loss.
    patience : int or None
        See `networks.training.Validation`.
    """

    updates: TrainingSettings
    noise: float
    seed: int
    step_hours: int = 6
    rollout_fraction: float = 0.1
    look_every: int = 500
    patience: int | None = None


def train_emulator(
    trajectories: Trajectories,
    grid: Grid,
    truncation: int | None,
    network: NetworkSettings,
    settings: EmulatorTraining,
    progress: Callable[[str], None] = print,
    device: torch.device | str = "cpu",
    held_out: Trajectories | None = None,
    checkpoint: Checkpoint | None = None,
    workers: Workers = ALONE,
) -> tuple[Emulator, Course]:
    """Train an emulator; return it with the course of its training.

    Parameters
    ----------
    trajectories : Trajectories
        States on `grid`, `settings.step_hours` apart.
    grid : Grid
    truncation : int or None
        Wavenumber beyond which the model's output is cut off.
    network : NetworkSettings
    settings : EmulatorTraining
    progress : callable
        Receives one line of text now and then.
    device : str or torch.device
    held_out : Trajectories, optional
        For the validation loss: at most `LOOKED_AT` steps, evenly spread, without noise.
    checkpoint : Checkpoint, optional
    workers : Workers, optional
        See `networks.training.train`.

    Raises
    ------
    FloatingPointError
        If the loss is no longer finite.
    """
    training = settings.updates
    own = workers.share(training.batch)
    harmonics = SphericalHarmonics(grid, finest_truncation(grid) if truncation is None else truncation, device=device)
    torch.manual_seed(settings.seed)
    model = Emulator(grid, truncation, network, settings.step_hours, device)
    draws = Draws(settings.seed, "emulator")
    numbers = draws.generator
    starts = torch.randint(
        len(trajectories), (training.steps, training.batch), generator=generator(settings.seed, "emulator", "starts")
    )
    coming: Iterator[torch.Tensor] | None = None
    weights = area_weights(grid, device)
    with torch.no_grad():
        statistics = trajectories.statistics()
        for name in ("mean", "deviation", "change_deviation"):
            getattr(model, name).copy_(getattr(statistics, name))

    def error(predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return ((((predicted - target) / model.change_deviation) ** 2) * weights).mean()

    def batches(first: int) -> Iterator[torch.Tensor]:
        longer = training.steps * (1 - settings.rollout_fraction)
        return trajectories.read_ahead(
            [(starts[step][own].tolist(), ROLLOUT if step >= longer else 1) for step in range(first, training.steps)]
        )

    def loss(step: int) -> torch.Tensor:
        nonlocal coming
        coming = coming or batches(step)
        states = next(coming)
        white = torch.randn(training.batch, len(CHANNELS), harmonics.size, generator=numbers) * harmonics.size**-0.5
        amplitude = settings.noise * torch.rand(training.batch, 1, 1, 1, generator=numbers)
        noisy = torch.rand(training.batch, 1, 1, 1, generator=numbers) < 0.5
        amplitude = torch.where(noisy, amplitude, 0.0)[own].to(device)
        advanced = states[0] + amplitude * model.change_deviation * harmonics.synthesise(white[own].to(device))
        errors = []
        for target in states[1:]:
            advanced = model.step(advanced)
            errors.append(error(advanced, target) / (len(states) - 1))
        return sum(errors[1:], errors[0])

    def validation_loss() -> float:
        assert held_out is not None
        looked_at = evenly(range(len(held_out)), LOOKED_AT)
        total = 0.0
        with torch.no_grad():
            for first in range(0, len(looked_at), training.batch):
                states = held_out.read(looked_at[first : first + training.batch], 1)
                total += states.shape[1] * error(model.step(states[0]), states[1]).item()
        return total / len(looked_at)

    validation = Validation(validation_loss, settings.look_every, settings.patience) if held_out else None
    model.autocast = True
    course = train(
        model.network.parameters(),
        loss,
        training,
        progress,
        validation=validation,
        draws=draws,
        checkpoint=checkpoint,
        workers=workers,
    )
    model.autocast = False
    return model.eval().requires_grad_(False), course
