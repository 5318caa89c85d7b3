"""Weights of networks in safetensors files, with the settings that rebuild them as metadata, and without pickles."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from .atomic import atomic_write

#: values from which on a tensor counts as large
LARGE = 1000


def save_weights(
    path: str | Path, tensors: Mapping[str, torch.Tensor], settings: dict[str, Any], half: bool = False
) -> None:
    """Write tensors and JSON-able settings; `half` keeps large tensors in float16.

    Small tensors, such as means and standard deviations in physical units, stay exact. The bytes depend on the contents
    alone.

    Raises
    ------
    ValueError
        If a value is too large for float16.
    """
    stored = {}
    for name, tensor in sorted(tensors.items()):
        tensor = tensor.detach().cpu().contiguous()
        if half and tensor.is_floating_point() and tensor.numel() > LARGE:
            if tensor.abs().max() > torch.finfo(torch.float16).max:
                raise ValueError(f"{path}: the tensor {name} has values that float16 cannot represent")
            tensor = tensor.half()
        stored[name] = tensor
    with atomic_write(path) as temporary:
        save_file(stored, temporary, metadata={"settings": json.dumps(settings, sort_keys=True)})
        temporary.chmod(0o644)  # safetensors lets nobody else read


def load_weights(
    path: str | Path, device: torch.device | str = "cpu"
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read the tensors (floating point as float32) and settings of a file that `save_weights` wrote.

    On the CPU, tensors of float32 are the file, mapped into memory, and no copies; to change them changes nothing in
    the file.

    Raises
    ------
    ValueError
        If the file is truncated, is not a safetensors file, has no settings, or has values that are not finite.
    """
    try:
        with safe_open(path, framework="pt") as file:
            settings = json.loads((file.metadata() or {})["settings"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{path} is damaged, or is not a file of weights of this workflow ({error}); make it again"
        ) from error
    for name, tensor in tensors.items():
        if tensor.is_floating_point():
            if not _is_finite(tensor):
                raise ValueError(f"{path}: the tensor {name} has values that are not finite; make the file again")
            tensors[name] = tensor.float()
    return {name: tensor.to(device) for name, tensor in tensors.items()}, settings


def _is_finite(tensor: torch.Tensor) -> bool:
    """Whether all values are finite: one pass finds the extremes, which are NaN if any value is."""
    return not tensor.numel() or all(extreme.isfinite().item() for extreme in torch.aminmax(tensor))
