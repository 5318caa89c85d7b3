"""Periods of a configuration, checked. Each error names its key."""

from datetime import datetime
from typing import Any, TypeAlias

from ..fields.timeline import parse
from .completion import ConfigurationError

#: first and last time
Period: TypeAlias = tuple[datetime, datetime]


def finer_period(config: dict[str, Any]) -> Period | None:
    """First and last time of `archive.finer`, or None.

    Raises
    ------
    ConfigurationError
        If one of them is no time, or they are not in order.
    """
    finer = config["archive"].get("finer")
    if not finer:
        return None
    return period_of("archive.finer.start", finer["start"], "archive.finer.end", finer["end"])


def held_by(key: str, first: datetime, last: datetime, config: dict[str, Any], archive: Period) -> tuple[Period, int]:
    """The part of the archive that has an experiment's states, and the time between these."""
    finer = finer_period(config)
    if finer and finer[0] <= first <= finer[1]:
        return finer, config["archive"]["finer"]["step_hours"]
    if finer and first.date() <= finer[1].date() and finer[0].date() <= last.date():
        raise ConfigurationError(
            f"{key}: shares days with archive.finer ({finer[0]:%Y-%m-%dT%H} to {finer[1]:%Y-%m-%dT%H}) but does "
            "not lie within it; choose a period that is wholly inside or outside"
        )
    return archive, config["archive"]["step_hours"]


def period_of(start_key: str, start: str, end_key: str, end: str) -> Period:
    """First and last time of two keys: whole hours, in order."""
    times = []
    for key, value in ((start_key, start), (end_key, end)):
        try:
            times.append(parse(value))
        except ValueError as error:
            raise ConfigurationError(f"{key}: {error}") from None
        if times[-1].minute:
            raise ConfigurationError(f"{key}: {value} is not a whole hour; states and cycles are valid at whole hours")
    if times[0] >= times[1]:
        raise ConfigurationError(f"{end_key}: {end} is not after {start_key}, {start}")
    return times[0], times[1]


def check_within(key: str, time: datetime, period: Period) -> None:
    """Refuse a time that the archive does not hold."""
    if not period[0] <= time <= period[1]:
        raise ConfigurationError(
            f"{key}: {time:%Y-%m-%dT%H} is outside the archive, {period[0]:%Y-%m-%dT%H} to {period[1]:%Y-%m-%dT%H}"
        )
