"""One training loop for every network: Adam or Muon, cosine learning rate, progress, and a stop on divergence."""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class TrainingSettings:
    """How long and how fast to train.

    Attributes
    ----------
    steps : int
        Number of updates.
    batch : int
        Samples per update.
    learning_rate : float
        Largest learning rate, reached after the warm-up.
    warm_up : int
        Updates over which the learning rate rises linearly from 0.
    final_fraction : float
        Learning rate at the end over the largest, reached along a cosine; 1 keeps it constant.
    weight_decay : float
        AdamW's; 0 is Adam.
    clip : float or None
        Largest norm of the gradient.
    muon_learning_rate : float or None
        Largest learning rate of the matrices of hidden layers, where these are updated by Muon (Jordan et al. 2024,
        scaled as Adam's updates are: Liu et al. 2025, arXiv:2502.16982); None leaves them to Adam.
    """

    steps: int
    batch: int = 4
    learning_rate: float = 1e-4
    warm_up: int = 0
    final_fraction: float = 1.0
    weight_decay: float = 0.0
    clip: float | None = None
    muon_learning_rate: float | None = None

    def rate(self, step: int) -> float:
        """Learning rate of an update relative to the largest."""
        if step < self.warm_up:
            return (step + 1) / self.warm_up
        progress = (step - self.warm_up) / max(1, self.steps - self.warm_up)
        return self.final_fraction + (1 - self.final_fraction) * (1 + math.cos(math.pi * progress)) / 2


#: the least rows and columns of a matrix that Muon updates; smaller ones are biases
SMALLEST_MATRIX = 16


def _optimisers(parameters: list[nn.Parameter], settings: TrainingSettings) -> list[torch.optim.Optimizer]:
    decay = settings.weight_decay
    matrices: list[nn.Parameter] = []
    if settings.muon_learning_rate is not None:
        matrices = [p for p in parameters if p.dim() == 2 and min(p.shape) >= SMALLEST_MATRIX]
    chosen = {id(parameter) for parameter in matrices}
    others = [parameter for parameter in parameters if id(parameter) not in chosen]
    optimisers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(others, lr=settings.learning_rate, weight_decay=decay, fused=True),
    ]
    if matrices and settings.muon_learning_rate is not None:
        optimisers.append(
            torch.optim.Muon(
                matrices, lr=settings.muon_learning_rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw"
            )
        )
    return optimisers


def train(
    parameters: Iterable[nn.Parameter],
    loss: Callable[[int], torch.Tensor],
    settings: TrainingSettings,
    progress: Callable[[str], None] = print,
    report_every: int = 100,
) -> list[float]:
    """Minimise `loss(step)` over `parameters`, and give the loss of every update.

    Parameters
    ----------
    parameters : iterable of parameters
        What is updated, in place.
    loss : callable
        From the number of the update, from 0, to a scalar tensor that can be differentiated.
    settings : TrainingSettings
    progress : callable
        Gets a line of text every `report_every` updates.
    report_every : int

    Raises
    ------
    FloatingPointError
        If the loss stops being finite.
    """
    parameters = list(parameters)
    optimisers = _optimisers(parameters, settings)
    schedules = [torch.optim.lr_scheduler.LambdaLR(optimiser, settings.rate) for optimiser in optimisers]
    losses: list[float] = []
    started = time.monotonic()
    for step in range(settings.steps):
        for optimiser in optimisers:
            optimiser.zero_grad(set_to_none=True)
        value = loss(step)
        value.backward()
        losses.append(value.item())
        if not math.isfinite(losses[-1]):
            raise FloatingPointError(f"training diverged: the loss of update {step + 1} is {losses[-1]}")
        if settings.clip:
            nn.utils.clip_grad_norm_(parameters, settings.clip)
        for optimiser, schedule in zip(optimisers, schedules, strict=True):
            optimiser.step()
            schedule.step()
        if (step + 1) % report_every == 0 or step + 1 == settings.steps:
            recent = losses[-report_every:]
            elapsed = time.monotonic() - started
            progress(f"update {step + 1}/{settings.steps}: loss {sum(recent) / len(recent):.5g}, {elapsed:.0f} s")
    return losses
