"""Selection of a few among many, evenly spread."""

from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


def evenly(items: Sequence[Item], most: int) -> list[Item]:
    """At most this many entries of a sequence, evenly spread."""
    count = min(most, len(items))
    return [items[index * len(items) // count] for index in range(count)]
