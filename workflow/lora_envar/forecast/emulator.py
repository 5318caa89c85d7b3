"""The example's forecast model: a small FengWu-like network that learns the change of a nature run in one step.

x(t + h) = P[x + s_d N((x - m) / s)], with m and s the mean and standard deviation of every channel, s_d the standard
deviation of the change in a step of h (6 h to cycle with, 1 h within the windows of 4D-Var), N the network, and P the
projection onto the truncation of the world it was trained in.
It is trained to give the clean next state also from noisy input, so that it damps the noise of analyses.
"""

from dataclasses import asdict

import torch
from torch import nn

from ..fields.grid import Grid
from ..fields.harmonics import SphericalHarmonics
from ..fields.seeds import generator
from ..files.weights import load_weights, save_weights
from ..networks.swin import Network, NetworkSettings, WithoutWeights, mixed_precision
from ..networks.training import TrainingSettings, train
from ..settings import settings_from
from .model import ForecastModel


class Emulator(nn.Module, ForecastModel):
    """See the module.

    Parameters
    ----------
    grid : Grid
    truncation : int or None
        Wavenumber beyond which the output is cut off; None keeps all.
    settings : NetworkSettings
    step_hours : int
    """

    differentiable = True

    def __init__(
        self, grid: Grid, truncation: int | None, settings: NetworkSettings, step_hours: int = 6, device="cpu"
    ):
        super().__init__()
        self.step_hours = step_hours
        self.grid, self.truncation, self.settings = grid, truncation, settings
        self.autocast = False  # run the network, and nothing else, in bfloat16 where it is native
        self.network = Network(settings)
        channels = sum(settings.inputs)
        for name in ("mean", "deviation", "change_deviation"):
            self.register_buffer(name, torch.ones(channels, 1, 1))
        self.to(device)
        self.harmonics = None if truncation is None else SphericalHarmonics(grid, truncation, device=device)

    def step(self, states: torch.Tensor) -> torch.Tensor:
        with mixed_precision(states.device, self.autocast):
            change = self.network((states - self.mean) / self.deviation)
        advanced = states + self.change_deviation * change.to(states.dtype)
        return advanced if self.harmonics is None else self.harmonics.project(advanced)

    def save(self, path, half: bool = False, **provenance):
        settings = {
            "grid": asdict(self.grid),
            "truncation": self.truncation,
            "network": asdict(self.settings),
            "step_hours": self.step_hours,
            "provenance": provenance,
        }
        save_weights(path, self.state_dict(), settings, half)

    @classmethod
    def load(cls, path, device="cpu") -> "Emulator":
        tensors, settings = load_weights(path)
        network = settings_from(NetworkSettings, settings["network"])
        with WithoutWeights():
            model = cls(Grid(**settings["grid"]), settings["truncation"], network, settings["step_hours"], device)
        model.load_state_dict(tensors)
        return model.eval().requires_grad_(False)


def train_emulator(
    segments: list[torch.Tensor],
    grid: Grid,
    truncation: int,
    network: NetworkSettings,
    training: TrainingSettings,
    noise: float,
    seed: int,
    step_hours: int = 6,
    rollout_fraction: float = 0.25,
    progress=print,
    device="cpu",
) -> Emulator:
    """Train an emulator on segments of spectral coefficients, `step_hours` apart.

    Parameters
    ----------
    segments : list of tensors
        Each of shape (time, 69, (T + 1)^2), consecutive states.
    noise : float
        Half of the samples get white noise (all wavenumbers alike) of up to this many standard deviations of the
        change in a step.
    rollout_fraction : float
        The last part of the updates, in which the loss is that of two steps.
    """
    harmonics = SphericalHarmonics(grid, truncation, device=device)
    torch.manual_seed(seed)
    model = Emulator(grid, truncation, network, step_hours, device)
    draws = generator(seed, "emulator")
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

    def loss(step):
        picks = torch.randint(int(lengths.sum()), (training.batch,), generator=draws)
        owner = torch.searchsorted(starts, picks, right=True) - 1
        triples = torch.stack(
            [segments[s][p - starts[s] : p - starts[s] + 3] for s, p in zip(owner, picks, strict=True)]
        )
        states = harmonics.synthesise(triples.to(device)).transpose(0, 1)
        white = torch.randn(training.batch, triples.shape[2], harmonics.size, generator=draws) * harmonics.size**-0.5
        amplitude = noise * torch.rand(training.batch, 1, 1, 1, generator=draws)
        amplitude = amplitude * (torch.rand(training.batch, 1, 1, 1, generator=draws) < 0.5)
        advanced = states[0] + amplitude.to(device) * model.change_deviation * harmonics.synthesise(white.to(device))
        steps = 2 if step >= training.steps * (1 - rollout_fraction) else 1
        total = 0.0
        for target in states[1 : steps + 1]:
            advanced = model.step(advanced)
            total = total + ((((advanced - target) / model.change_deviation) ** 2) * weights).mean() / steps
        return total

    model.autocast = True
    train(model.network.parameters(), loss, training, progress)
    model.autocast = False
    return model.eval().requires_grad_(False)
