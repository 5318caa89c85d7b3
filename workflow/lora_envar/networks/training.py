"""One training loop for every network: Adam or Muon, cosine learning rate, validation, checkpoints, progress.

A training that is killed and continues from its checkpoint ends with the same bytes as one without a break: it has
the weights, the state of the optimiser and that of the random numbers.
"""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import torch
from torch import nn

from ..fields.seeds import generator
from .checkpoint import Checkpoint
from .workers import ALONE, Workers, silent


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


class Draws:
    """Random numbers of a training, and its samples in random order; a checkpoint can keep both.

    Attributes
    ----------
    generator : torch.Generator

    Parameters
    ----------
    seed : int
    purpose
        See `fields.seeds`.
    """

    def __init__(self, seed: int, *purpose: object) -> None:
        self.generator = generator(seed, *purpose)
        self._queue: list[int] = []

    def next(self, indices: Sequence[int], count: int) -> list[int]:
        """The next `count` of `indices`, which are used in a new random order in every pass."""
        while len(self._queue) < count:
            self._queue.extend(indices[i] for i in torch.randperm(len(indices), generator=self.generator).tolist())
        return [self._queue.pop() for _ in range(count)]

    def state(self) -> dict[str, torch.Tensor]:
        """The state for `restore`."""
        return {"generator": self.generator.get_state(), "queue": torch.tensor(self._queue, dtype=torch.int64)}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Continue from a state."""
        self.generator.set_state(state["generator"])
        self._queue = state["queue"].tolist()


@dataclass(frozen=True)
class Validation:
    """How a training is validated.

    Attributes
    ----------
    loss : callable
        Returns the validation loss.
    every : int
        Updates between two validations; the last update is validated as well.
    patience : int or None
        Validations without improvement after which the training ends; the best weights are then the result. None
        trains to the end and keeps the last weights.
    """

    loss: Callable[[], float]
    every: int
    patience: int | None = None


@dataclass
class Course:
    """How a training went.

    Attributes
    ----------
    losses : list of float
        Of every update.
    validation : list of (int, float)
        Number of updates, and the validation loss after them.
    kept : int
        Number of updates that lead to the final weights.
    """

    losses: list[float] = field(default_factory=list)
    validation: list[tuple[int, float]] = field(default_factory=list)
    kept: int = 0

    def best(self) -> tuple[int, float]:
        """The validation with the smallest loss, the first of equals."""
        return min(self.validation, key=lambda look: look[1], default=(0, math.inf))

    def table(self, every: int) -> pd.DataFrame:
        """The learning curve: update, loss (mean of the updates since the row before), validation_loss.

        There is a row at regular intervals, at every validation, and at the end.
        """
        looks = dict(self.validation)
        last = len(self.losses)
        ends = sorted({*range(every, last + 1, every), *looks, last} - {0})
        starts = [0, *ends]
        rows = [
            (end, sum(self.losses[start:end]) / (end - start), looks.get(end))
            for start, end in zip(starts, ends, strict=False)
        ]
        return pd.DataFrame(rows, columns=["update", "loss", "validation_loss"]).astype({"validation_loss": float})


class _State:
    """Everything that changes while a network is trained."""

    def __init__(self, parameters: list[nn.Parameter], settings: TrainingSettings, draws: Draws | None) -> None:
        self.parameters = parameters
        self.optimisers = _optimisers(parameters, settings)
        self.largest_rates = [optimiser.param_groups[0]["lr"] for optimiser in self.optimisers]
        self.draws = draws
        self.course = Course()
        self.best: list[torch.Tensor] = []

    def update(self, rate: float) -> None:
        """Step with the gradients that there are, at a learning rate relative to the largest."""
        for optimiser, largest in zip(self.optimisers, self.largest_rates, strict=True):
            optimiser.param_groups[0]["lr"] = largest * rate
            optimiser.step()

    def save(self, checkpoint: Checkpoint) -> None:
        tensors = {f"parameter.{i}": parameter.detach() for i, parameter in enumerate(self.parameters)}
        tensors |= {f"best.{i}": tensor for i, tensor in enumerate(self.best)}
        for number, optimiser in enumerate(self.optimisers):
            for index, moments in optimiser.state_dict()["state"].items():
                tensors |= {f"optimiser.{number}.{index}.{name}": moment for name, moment in moments.items()}
        if self.draws is not None:
            tensors |= {f"draws.{name}": tensor for name, tensor in self.draws.state().items()}
        checkpoint.save(tensors, {"losses": self.course.losses, "validation": self.course.validation})

    def restore(self, tensors: dict[str, torch.Tensor], numbers: dict[str, Any]) -> None:
        with torch.no_grad():
            for index, parameter in enumerate(self.parameters):
                parameter.copy_(tensors[f"parameter.{index}"])
        self.best = [
            tensors[f"best.{index}"].to(parameter)
            for index, parameter in enumerate(self.parameters)
            if f"best.{index}" in tensors
        ]
        for number, optimiser in enumerate(self.optimisers):
            state: dict[int, dict[str, torch.Tensor]] = {}
            prefix = f"optimiser.{number}."
            for key, tensor in tensors.items():
                if key.startswith(prefix):
                    number_of, name = key.removeprefix(prefix).split(".")
                    state.setdefault(int(number_of), {})[name] = tensor
            optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
        if self.draws is not None:
            self.draws.restore({name: tensors[f"draws.{name}"] for name in self.draws.state()})
        self.course.losses = numbers["losses"]
        self.course.validation = [(update, loss) for update, loss in numbers["validation"]]

    def look(self, validation: Validation) -> bool:
        """Validate; return whether it is time to stop."""
        self.course.validation.append((len(self.course.losses), validation.loss()))
        if validation.patience is None:
            return False
        best, _ = self.course.best()
        if best == len(self.course.losses):
            self.best = [parameter.detach().clone() for parameter in self.parameters]
        return sum(update > best for update, _ in self.course.validation) >= validation.patience

    def end(self) -> Course:
        """Restore the best weights, if these are to be the result."""
        self.course.kept = len(self.course.losses)
        if self.best:
            self.course.kept, _ = self.course.best()
            with torch.no_grad():
                for parameter, tensor in zip(self.parameters, self.best, strict=True):
                    parameter.copy_(tensor)
        return self.course


def train(
    parameters: Iterable[nn.Parameter],
    loss: Callable[[int], torch.Tensor],
    settings: TrainingSettings,
    progress: Callable[[str], None] = print,
    report_every: int = 100,
    validation: Validation | None = None,
    draws: Draws | None = None,
    checkpoint: Checkpoint | None = None,
    workers: Workers = ALONE,
) -> Course:
    """Minimise `loss(step)` over `parameters`.

    Parameters
    ----------
    parameters : iterable of parameters
        The parameters that are updated. Each gets its own storage, since that of a file may be shared (see
        `files.kept_weights`).
    loss : callable
        From the number of the update, from 0, to a scalar tensor that can be differentiated.
    settings : TrainingSettings
    progress : callable
        Receives one line of text every `report_every` updates.
    report_every : int
    validation : Validation, optional
    draws : Draws, optional
        Everything that is random in `loss`. A training with a checkpoint needs it, unless nothing is random.
    checkpoint : Checkpoint, optional
        Where the training is saved from time to time, and continued from. Whoever writes the result removes it.
    workers : Workers, optional
        The processes that train together: the loss is then the mean over this one's share of the batch, and that of
        the validation the same in all of them.

    Raises
    ------
    FloatingPointError
        If the loss is no longer finite.
    """
    state = _State(list(parameters), settings, draws)
    for parameter in state.parameters:
        parameter.data = parameter.data.clone()
    course = state.course
    progress = progress if workers.first else silent
    if checkpoint is not None and (kept := checkpoint.load()):
        state.restore(*kept)
        progress(
            f"the training continues after update {len(course.losses)} of {settings.steps}, from {checkpoint.path}"
        )
    first = len(course.losses)
    started = time.monotonic()
    stop = False
    for step in range(first, settings.steps):
        for optimiser in state.optimisers:
            optimiser.zero_grad(set_to_none=True)
        value = loss(step)
        value.backward()
        workers.average_gradients(state.parameters)
        course.losses.append(workers.mean(value.detach()).item())
        if not math.isfinite(course.losses[-1]):
            raise FloatingPointError(
                f"the training diverged: the loss of update {step + 1} is {course.losses[-1]}; reduce the learning rate"
            )
        if settings.clip:
            nn.utils.clip_grad_norm_(state.parameters, settings.clip)
        state.update(settings.rate(step))
        done = step + 1
        if validation is not None and (done % validation.every == 0 or done == settings.steps):
            stop = state.look(validation)
        if done % report_every == 0 or done == settings.steps or stop:
            progress(_line(course, settings.steps, report_every, time.monotonic() - started, done - first))
        if stop:
            progress(f"the training stopped early: no improvement in {validation and validation.patience} validations")
            break
        if checkpoint is not None and workers.first and checkpoint.due():
            state.save(checkpoint)
    return state.end()


def _line(course: Course, steps: int, every: int, seconds: float, updates: int) -> str:
    """A line about a training: progress, losses and the time that is left."""
    recent = course.losses[-every:]
    done = len(course.losses)
    words = [f"update {done} of {steps}: loss {sum(recent) / len(recent):.5g}"]
    if course.validation:
        words.append(f"validation loss {course.validation[-1][1]:.5g}")
    words.append(f"{seconds:.0f} s")
    if done < steps:
        words.append(f"{seconds / updates * (steps - done):.0f} s to go")
    return ", ".join(words)
