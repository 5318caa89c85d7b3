"""A stand-in for a GPU: tensors on torch's device `meta`, whose values are never computed, may meet none on the CPU."""

import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

#: the device
DEVICE = "meta"


class Elsewhere(TorchDispatchMode):
    """Refuses operations on tensors of both devices, and gives ones for what is taken to the CPU; all masks are true.

    Single numbers on the CPU may meet any tensor, as they may on a GPU.
    """

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        there = any(tensor.is_meta for tensor in tensors)
        if func is torch.ops.aten._local_scalar_dense.default and there:
            return tensors[0].new_ones((), device="cpu").numpy().item()
        if func is torch.ops.aten._to_copy.default:
            target = torch.device(kwargs.get("device") or tensors[0].device)
            if there and target.type == "cpu":
                return torch.ones(tensors[0].shape, dtype=kwargs.get("dtype") or tensors[0].dtype)
            return func(*args, **kwargs)
        if func is torch.ops.aten.copy_.default:
            target, source = args[:2]
            return target.fill_(1) if source.is_meta and not target.is_meta else func(*args, **kwargs)
        if func is torch.ops.aten.nonzero.default and there:
            (mask,) = tensors
            return torch.zeros(mask.numel(), mask.dim(), dtype=torch.int64, device=DEVICE)
        if there and any(tensor.dim() and not tensor.is_meta for tensor in tensors):
            shapes = ", ".join(f"{tuple(tensor.shape)} on {tensor.device.type}" for tensor in tensors)
            raise RuntimeError(f"{func} of tensors on two devices: {shapes}")
        return func(*args, **kwargs)


class DeviceMemory(TorchDispatchMode):
    """Counts the bytes of all storages on the stand-in, as a GPU would have to hold them at once.

    Every storage takes whole blocks of 512 bytes, as torch's allocator for CUDA gives them. What kernels need for
    themselves while they run, and what is lost between blocks, is not in it.

    Attributes
    ----------
    held, most : int
        Bytes now, and at most so far.
    """

    BLOCK = 512

    def __init__(self) -> None:
        super().__init__()
        self.held = 0
        self.most = 0
        self._known: weakref.WeakSet[Any] = weakref.WeakSet()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for leaf in tree_leaves((made, args)):
            if isinstance(leaf, torch.Tensor) and leaf.is_meta:
                self.count(leaf)
        return made

    def count(self, tensor: torch.Tensor) -> None:
        """Count the storage of a tensor, once."""
        storage = tensor.untyped_storage()
        if storage in self._known:
            return
        self._known.add(storage)
        size = -(-storage.nbytes() // self.BLOCK) * self.BLOCK
        self.held += size
        self.most = max(self.most, self.held)
        weakref.finalize(storage, self._release, size)

    def _release(self, size: int) -> None:
        self.held -= size
