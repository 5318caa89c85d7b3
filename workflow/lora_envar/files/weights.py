"""Networks' weights in safetensors files, with the settings to rebuild them as metadata. No pickles."""

import json

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from .atomic import atomic_write

#: values from which on a tensor counts as large
LARGE = 1000


def save_weights(path, tensors: dict[str, torch.Tensor], settings: dict, half: bool = False):
    """Write tensors and JSON-able settings; `half` keeps large tensors in float16.

    Small ones, such as means and standard deviations in physical units, stay exact. The bytes depend on the contents
    alone.
    """
    stored = {}
    for name, tensor in sorted(tensors.items()):
        tensor = tensor.detach().cpu().contiguous()
        stored[name] = tensor.half() if half and tensor.is_floating_point() and tensor.numel() > LARGE else tensor
    with atomic_write(path) as temporary:
        save_file(stored, temporary, metadata={"settings": json.dumps(settings, sort_keys=True)})
        temporary.chmod(0o644)  # safetensors lets nobody else read


def load_weights(path) -> tuple[dict[str, torch.Tensor], dict]:
    """Tensors (floating point as float32) and settings of a file written by `save_weights`.

    Raises
    ------
    ValueError
        If the file is truncated, is not a safetensors file, lacks settings, or holds values that are not finite.
    """
    try:
        with safe_open(path, framework="pt") as file:
            settings = json.loads((file.metadata() or {})["settings"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: not a whole file of weights of this workflow ({error}); remake it") from error
    for name, tensor in tensors.items():
        if tensor.is_floating_point():
            if not tensor.isfinite().all():
                raise ValueError(f"{path}: tensor {name} holds values that are not finite; remake the file")
            tensors[name] = tensor.float()
    return tensors, settings
