"""Processes that train one network together, each with one GPU.

All of them draw the same random numbers, and each takes its share of every batch. What they end with is what one
process ends with, up to rounding.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.distributed
from torch import nn


@dataclass(frozen=True)
class Workers:
    """One of the processes of a training.

    Attributes
    ----------
    rank : int
        From 0, which alone writes files and the log.
    count : int
        Of all of them.
    """

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def device(self) -> torch.device:
        """A GPU of its own if there are GPUs, else the CPU."""
        return torch.device("cuda", self.rank) if torch.cuda.is_available() else torch.device("cpu")

    def share(self, batch: int) -> slice:
        """The samples of a batch that belong to this process.

        Raises
        ------
        ValueError
            If the batch cannot be shared equally.
        """
        if batch % self.count:
            raise ValueError(
                f"a batch of {batch} cannot be shared equally by {self.count} GPUs; make batch a multiple of gpus"
            )
        size = batch // self.count
        return slice(self.rank * size, (self.rank + 1) * size)

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each gradient by the mean over all processes."""
        if self.count == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        running = [torch.distributed.all_reduce(gradient, async_op=True) for gradient in gradients]
        for work, gradient in zip(running, gradients, strict=True):
            work.wait()
            gradient.div_(self.count)

    def mean(self, value: torch.Tensor) -> torch.Tensor:
        """The mean of a number over all processes."""
        if self.count == 1:
            return value
        total = value.detach().clone()
        torch.distributed.all_reduce(total)
        return total / self.count


#: a training in one process
ALONE = Workers()


def silent(_: str) -> None:
    """The log of all processes but the first."""
