"""Blocks of days: the times of a long period, a file and a job per block."""

from datetime import datetime, timedelta

from ..fields.timeline import parse, times


def block_names(first: datetime, last: datetime, start: datetime, block_days: int) -> list[str]:
    """Names of the blocks, counted from `start`, that hold the times from first to last."""
    span = timedelta(days=block_days)
    numbers = range((first - start) // span, (last - start) // span + 1)
    return [f"{start + number * span:%Y%m%d}" for number in numbers]


def block_times(block: str, start: datetime, end: datetime, block_days: int, step_hours: int) -> list[datetime]:
    """The times of a block, of those from `start` to `end` that are `step_hours` apart."""
    day = parse(f"{block}T00").date()
    origin = start + timedelta(days=(day - start.date()).days)
    last = min(origin + timedelta(days=block_days) - timedelta(hours=1), end)
    step = timedelta(hours=step_hours)
    first = start + max(0, -((start - origin) // step)) * step
    return times(first, last, step_hours)
