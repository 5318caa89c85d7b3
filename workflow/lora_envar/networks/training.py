"""One training loop for every network: Adam, cosine learning rate, progress in the log, and a stop on divergence."""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch


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
    """

    steps: int
    batch: int = 4
    learning_rate: float = 1e-4
    warm_up: int = 0
    final_fraction: float = 1.0
    weight_decay: float = 0.0
    clip: float | None = None

    def rate(self, step: int) -> float:
        """Learning rate of an update relative to the largest."""
        if step < self.warm_up:
            return (step + 1) / self.warm_up
        progress = (step - self.warm_up) / max(1, self.steps - self.warm_up)
        return self.final_fraction + (1 - self.final_fraction) * (1 + math.cos(math.pi * progress)) / 2


def train(
    parameters: Iterable[torch.nn.Parameter],
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
    optimiser = torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, settings.rate)
    losses: list[float] = []
    started = time.monotonic()
    for step in range(settings.steps):
        optimiser.zero_grad(set_to_none=True)
        value = loss(step)
        value.backward()
        losses.append(value.item())
        if not math.isfinite(losses[-1]):
            raise FloatingPointError(f"training diverged: the loss of update {step + 1} is {losses[-1]}")
        if settings.clip:
            torch.nn.utils.clip_grad_norm_(parameters, settings.clip)
        optimiser.step()
        schedule.step()
        if (step + 1) % report_every == 0 or step + 1 == settings.steps:
            recent = losses[-report_every:]
            elapsed = time.monotonic() - started
            progress(f"update {step + 1}/{settings.steps}: loss {sum(recent) / len(recent):.5g}, {elapsed:.0f} s")
    return losses
