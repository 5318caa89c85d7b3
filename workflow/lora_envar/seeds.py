"""Random numbers that depend on what they are for, never on the order of execution."""

import hashlib

import torch


def generator(seed: int, *purpose) -> torch.Generator:
    """A CPU generator seeded from an experiment's seed and what the numbers are for (valid time, step, ...)."""
    text = "/".join([str(int(seed)), *map(str, purpose)])
    digest = hashlib.sha256(text.encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
