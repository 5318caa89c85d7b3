"""Random numbers that depend on their purpose, never on the order of execution."""

import hashlib

import torch


def derived_seed(seed: int, *purpose: object) -> int:
    """A seed from an experiment's seed and the purpose of the numbers (valid time, step, ...)."""
    text = "/".join([str(int(seed)), *map(str, purpose)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")


def generator(seed: int, *purpose: object) -> torch.Generator:
    """A CPU generator with the derived seed."""
    return torch.Generator().manual_seed(derived_seed(seed, *purpose))
