"""Valid times: their names in paths, and the arithmetic of cycles and blocks."""

from datetime import UTC, datetime, timedelta

FORMAT = "%Y%m%dT%H"


def parse(text: str) -> datetime:
    """Read a time from a path (``20090301T06``) or from the configuration (ISO 8601), in UTC.

    Raises
    ------
    ValueError
        If it is not a time.
    """
    for form in (FORMAT, "%Y-%m-%dT%H", "%Y-%m-%dT%H:%M", "%Y-%m-%d"):
        try:
            return datetime.strptime(str(text), form).replace(tzinfo=UTC)
        except ValueError:
            continue
    raise ValueError(f"{text!r} is not a time; write it as 2022-01-31T18 or 2022-01-31")


def name(time: datetime) -> str:
    """The name of a time in paths.

    Raises
    ------
    ValueError
        If the time is not a whole hour, because minutes would be lost.
    """
    hours_since_1970(time)
    return time.strftime(FORMAT)


def shift(time: str, hours: int) -> str:
    """The name of the time `hours` later."""
    return name(parse(time) + timedelta(hours=hours))


def year_before(time: str) -> str:
    """The name of the same date and hour a year before; of the 29th of February, the 28th."""
    now = parse(time)
    leap_day = (now.month, now.day) == (2, 29)
    return name(now.replace(year=now.year - 1, day=28 if leap_day else now.day))


def times(start: datetime, end: datetime, step_hours: int) -> list[datetime]:
    """Times from `start` to `end`, both included, `step_hours` apart."""
    count = int((end - start) / timedelta(hours=step_hours)) + 1
    return [start + timedelta(hours=step_hours * index) for index in range(count)]


def hours_since_1970(time: datetime) -> int:
    """Whole hours from 1970-01-01 00 UTC to a time.

    Raises
    ------
    ValueError
        If the time is not a whole hour, because minutes would be lost.
    """
    hours, rest = divmod(time.timestamp(), 3600)
    if rest:
        raise ValueError(f"{time:%Y-%m-%dT%H:%M:%S} is not a whole hour; states and cycles are valid at whole hours")
    return int(hours)


def from_hours(hours: int) -> datetime:
    """The time that is this many hours after 1970-01-01 00 UTC."""
    return datetime.fromtimestamp(int(hours) * 3600, UTC)
