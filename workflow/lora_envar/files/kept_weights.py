"""Weights that a resident process keeps on the device from one step to the next (see `runtime.resident`).

Any other process keeps none. All networks made of a file share what is kept, so that they must not change it in place;
a training gives the weights that it changes storage of their own (`networks.training.train`).
"""

import copy
import os
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch

from .weights import load_weights

#: most files that are kept, and most bytes: the VAE and the forecast model of the paper's sizes take 3.5e9 together
FILES = 4
BYTES = 4e9

#: tensors and settings as `load_weights` gives them
Weights: TypeAlias = tuple[dict[str, torch.Tensor], dict[str, Any]]


@dataclass(frozen=True)
class _Kept:
    """The tensors of a file, and marks that show whether the file or the tensors have changed since."""

    tensors: dict[str, torch.Tensor]
    settings: dict[str, Any]
    stamp: tuple[int, ...]
    versions: list[int]

    @property
    def size(self) -> int:
        """Bytes of the tensors."""
        return sum(tensor.nbytes for tensor in self.tensors.values())


class KeptWeights:
    """The weights of the files that were read last.

    Parameters
    ----------
    files : int
        Most files that are kept.
    size : float
        Most bytes of them all.
    """

    def __init__(self, files: int, size: float) -> None:
        self._files = files
        self._size = size
        self._kept: OrderedDict[tuple[Path, torch.device], _Kept] = OrderedDict()

    def load(self, path: str | Path, device: torch.device | str) -> Weights:
        """As `load_weights`: from the file, unless it is kept and neither the file nor a tensor has changed since."""
        if not self._files or not os.path.exists(path):
            return load_weights(path, device)
        key = (Path(path).resolve(), torch.empty(0, device=device).device)  # cuda is cuda:0
        stamp = _stamp(path)
        kept = self._kept.pop(key, None)
        if kept is None or kept.stamp != stamp or kept.versions != _versions(kept.tensors):
            tensors, settings = load_weights(path, device)
            kept = _Kept(tensors, settings, stamp, _versions(tensors))
        self._kept[key] = kept
        while len(self._kept) > self._files or sum(entry.size for entry in self._kept.values()) > self._size:
            self._kept.popitem(last=False)
        return dict(kept.tensors), copy.deepcopy(kept.settings)


def _stamp(path: str | Path) -> tuple[int, ...]:
    """Marks of a file that differ once it is written again."""
    with open(path, "rb") as file:  # a network file system looks at a file anew only when it is opened
        status = os.fstat(file.fileno())
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _versions(tensors: dict[str, torch.Tensor]) -> list[int]:
    """How often each tensor has been changed in place, as torch counts it, which leaves out fused optimisers."""
    return [tensor._version for tensor in tensors.values()]


_of_process = KeptWeights(0, 0)


def keep_weights(files: int = FILES, size: float = BYTES) -> None:
    """Let this process keep the weights of files from now on; 0 files keep none."""
    global _of_process
    _of_process = KeptWeights(files, size)


def shared_weights(path: str | Path, device: torch.device | str) -> Weights:
    """Tensors on a device and settings of a file, as `load_weights` gives them, not to be changed in place."""
    return _of_process.load(path, device)
