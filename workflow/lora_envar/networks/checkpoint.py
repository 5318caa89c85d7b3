"""Checkpoints of a training, from which a job that was killed continues."""

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from .. import __version__
from ..files.weights import load_weights, save_weights


class Checkpoint:
    """A file beside the result of a training, which is removed once the result is there.

    Parameters
    ----------
    result : path
        The file that the training finally makes; the checkpoint is a hidden file beside it.
    about : dict
        Everything that determines the result. A checkpoint of another training, or of another version, is not used.
    inputs : iterable of paths
        Files that the training reads; their names, sizes and times of change count as well.
    minutes : float
        Time between two checkpoints.
    progress : callable
        Receives one line of text when a checkpoint is used, or cannot be used.
    """

    def __init__(
        self,
        result: str | Path,
        about: Mapping[str, Any],
        inputs: Iterable[str | Path],
        minutes: float,
        progress: Callable[[str], None] = print,
    ) -> None:
        result = Path(result)
        self.path = result.with_name(f".{result.stem}.checkpoint.safetensors")
        self._identity = _digest({"about": about, "inputs": [_stamp(path) for path in inputs]})
        self._interval = 60.0 * minutes
        self._progress = progress
        self._last = time.monotonic()

    def load(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
        """The tensors and numbers that were given to `save`; None if there are none of this training."""
        try:
            tensors, numbers = load_weights(self.path)
        except FileNotFoundError:
            return None
        except ValueError as error:
            self._progress(f"starts from scratch: {error}")
            return None
        if numbers.pop("identity", None) != self._identity:
            self._progress(f"starts from scratch: {self.path} is of a training with other settings or data")
            return None
        return tensors, numbers

    def due(self) -> bool:
        """Whether it is time for the next checkpoint."""
        return time.monotonic() - self._last >= self._interval

    def save(self, tensors: Mapping[str, torch.Tensor], numbers: Mapping[str, Any]) -> None:
        """Replace the checkpoint; the file is always complete, either the old one or the new one."""
        save_weights(self.path, tensors, {**numbers, "identity": self._identity})
        self._last = time.monotonic()

    def remove(self) -> None:
        """Remove the checkpoint, because the result is written."""
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()


def _stamp(path: str | Path) -> list[Any]:
    status = Path(path).stat()
    return [str(path), status.st_size, status.st_mtime_ns]


def _digest(values: dict[str, Any]) -> str:
    text = json.dumps([__version__, torch.__version__, values], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
