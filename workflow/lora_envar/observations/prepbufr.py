"""A reader of NCEP's PrepBUFR, with one row per datum.

`bufr` finds the messages of a file and the layouts of their templates, `lanes` reads the values of many messages at
once. Here they become rows in SI units.

References: https://www.emc.ncep.noaa.gov/emc/pages/infrastructure/bufrlib.php and, for mnemonics, quality marks and
program codes, https://www.emc.ncep.noaa.gov/mmb/data_processing/prepbufr.doc/
"""

import mmap
import time as clock
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from os import PathLike
from typing import cast

import numpy as np

from .bufr import Field, Message, PrepBufrError, Tables, all_messages, named_fields, open_file
from .mnemonics import ALL, FREEZING, HEADER, LEVEL, MISSING_MARK, VARIABLES, VIRTMP
from .subset_reader import Lanes

__all__ = [
    "ALL",
    "COLUMNS",
    "MISSING_MARK",
    "PrepBufrError",
    "Reports",
    "VARIABLES",
    "VIRTMP",
    "iterate_prepbufr",
    "read_prepbufr",
]

CHUNK = 8 << 20  # bytes of messages decoded at once
PROGRESS_SECONDS = 5.0


@dataclass(frozen=True)
class Reports:
    """Data of reports: columns of equal length, one row per datum, with the data of a level and of a report together.

    Attributes
    ----------
    cycle : datetime
        In UTC; times are relative to it.
    category : array of S8
        Message type, as ADPUPA.
    report_type : array of int16
        NCEP's code: 1xx for mass, 2xx for wind.
    station : array of S8
        Identifier, without trailing blanks.
    latitude, longitude : arrays of float64
        Degrees, -90 to 90 and 0 to 360; of the level, where a drifting balloon's are reported.
    time_offset : array of float64
        Hours after the cycle; of the level, where it is reported.
    elevation : array of float32
        Height of the station above the sea in m, NaN if missing.
    level_category : array of int8
        NCEP's code: 0 surface, 1 mandatory level, 2 significant temperature, ...; -1 if missing.
    pressure : array of float32
        Of the level in hPa, NaN if missing.
    variable : array of int8
        Index into `VARIABLES`.
    value : array of float64
        p in Pa, q in kg kg-1, t in K, z in m2 s-2, u and v in m s-1. Of several events the newest.
    error : array of float32
        Standard deviation of the observation error in the units of `value`; NaN if missing, and always for q and z.
    quality : array of int8
        NCEP's quality mark, 0 to 15; 31 if missing.
    virtual : array of bool
        The value is a virtual temperature: VIRTMP is among the events of the temperature.
    counts : dict
        Reports (subsets) by category.
    """

    cycle: datetime
    category: np.ndarray
    report_type: np.ndarray
    station: np.ndarray
    latitude: np.ndarray
    longitude: np.ndarray
    time_offset: np.ndarray
    elevation: np.ndarray
    level_category: np.ndarray
    pressure: np.ndarray
    variable: np.ndarray
    value: np.ndarray
    error: np.ndarray
    quality: np.ndarray
    virtual: np.ndarray
    counts: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.value)


#: names of the columns of `Reports`
COLUMNS = tuple(entry.name for entry in fields(Reports) if entry.name not in ("cycle", "counts"))


def read_prepbufr(
    path: str | PathLike[str],
    categories: Sequence[str] = ALL,
    window_hours: float | None = None,
    progress: Callable[[str], None] = print,
    sensible: bool = False,
    cycle: datetime | None = None,
) -> Reports:
    """All data of a file; see `iterate_prepbufr` for the parameters and errors."""
    parts: dict[str, list[np.ndarray]] = {name: [] for name in COLUMNS}
    counts: dict[str, int] = {}
    for piece in iterate_prepbufr(path, categories, window_hours, progress, sensible, cycle):
        for name in COLUMNS:
            parts[name].append(getattr(piece, name))
        for name, count in piece.counts.items():
            counts[name] = counts.get(name, 0) + count
    # the pieces of a column go when it is whole, so that there are never two of everything
    columns = {name: np.concatenate(parts.pop(name)) for name in COLUMNS}
    return Reports(cycle=piece.cycle, counts=counts, **columns)


def iterate_prepbufr(
    path: str | PathLike[str],
    categories: Sequence[str] = ALL,
    window_hours: float | None = None,
    progress: Callable[[str], None] = print,
    sensible: bool = False,
    cycle: datetime | None = None,
) -> Iterator[Reports]:
    """Data of a file in pieces of bounded size, of one category each.

    Data without position or time are left out. There is at least one piece; without data, it is empty.

    Parameters
    ----------
    path : path
        PrepBUFR file as NCEP writes it: edition 2 or 3, not compressed, tables in front.
    categories : sequence of str
        Message types to decode, out of `ALL`; the others are skipped unread.
    window_hours : float, optional
        Keep only data within this many hours of the cycle.
    progress : callable
        Receives a line every few seconds.
    sensible : bool
        In place of a virtual temperature give the newest of the events before VIRTMP, where there is one. The quality
        mark stays that of the newest event, for later checks apply to both.
    cycle : datetime, optional
        The cycle that the file must be of, in UTC; None takes any.

    Raises
    ------
    PrepBufrError
        If the file is missing, truncated, damaged, not PrepBUFR, or of another cycle.
    """
    unknown = sorted(set(categories) - set(ALL))
    if unknown:
        raise ValueError(f"message types {', '.join(unknown)} are unknown; known: {', '.join(ALL)}")
    data = open_file(path)
    tables = Tables(path)
    read = _Pieces(path, data, window_hours, sensible)
    found: datetime | None = None
    empty = True
    last = clock.monotonic()
    for message in all_messages(path, data):
        if message.cycle is None:  # of tables
            if message.subsets:
                yield from read.rest(tables)
                tables.add(data, message.start, message.end)
            continue
        if found is not None and message.cycle != found:
            raise PrepBufrError(
                f"{path} has reports of the cycles {_in_words(found)} and {_in_words(message.cycle)}; give one file "
                "per cycle"
            )
        if cycle is not None and message.cycle != cycle:
            raise PrepBufrError(
                f"{path} is of the cycle {_in_words(message.cycle)}, but {_in_words(cycle)} is needed; put the file of "
                "that cycle in its place, or correct observations.*.path or url"
            )
        found = message.cycle
        if tables.category(message) in categories and message.subsets:
            for piece in read.add(message, tables):
                empty = False
                yield piece
        if clock.monotonic() - last > PROGRESS_SECONDS:
            last = clock.monotonic()
            progress(f"{path}: {message.start / 1e6:.0f} of {len(data) / 1e6:.0f} MB, {read.subsets} reports decoded")
    for piece in read.rest(tables):
        empty = False
        yield piece
    if found is None:
        raise PrepBufrError(f"{path} has {tables.count} messages with tables, but none with reports; get it again")
    if empty:
        yield _rows(found, "", Lanes(np.zeros(8, np.uint8), np.zeros(0, np.int64)), {}, window_hours, sensible)


def _in_words(cycle: datetime) -> str:
    return f"{cycle:%Y-%m-%d %H:%M}" if cycle.minute else f"{cycle:%Y-%m-%d %H}"


class _Pieces:
    """Collects messages by template, and decodes many of them at once."""

    def __init__(self, path: str | PathLike[str], data: mmap.mmap, window_hours: float | None, sensible: bool) -> None:
        self.subsets = 0
        self._path = path
        self._data = data
        self._window_hours = window_hours
        self._sensible = sensible
        self._waiting: dict[tuple[int, ...], list[Message]] = {}
        self._bytes: dict[tuple[int, ...], int] = {}

    def add(self, message: Message, tables: Tables) -> Iterator[Reports]:
        """Add a message; yields the data of all that wait with its template once there are many."""
        waiting = self._waiting.setdefault(message.descriptors, [])
        waiting.append(message)
        self._bytes[message.descriptors] = self._bytes.get(message.descriptors, 0) + message.end - message.start
        if self._bytes[message.descriptors] >= CHUNK:
            self._bytes.pop(message.descriptors)
            yield self._decode(self._waiting.pop(message.descriptors), tables)

    def rest(self, tables: Tables) -> Iterator[Reports]:
        """Yield the data of all messages that wait."""
        self._bytes.clear()
        while self._waiting:
            yield self._decode(self._waiting.pop(next(iter(self._waiting))), tables)

    def _decode(self, messages: Sequence[Message], tables: Tables) -> Reports:
        starts: list[int] = []
        ends: list[int] = []
        joined = bytearray()
        for message in messages:
            position = message.values
            shift = len(joined) - message.start
            for _ in range(message.subsets):
                length = int.from_bytes(self._data[position : position + 2], "big")
                if position + length > message.end - 4:
                    raise self._damaged(message, position)
                starts.append(position + shift)
                position += length
                ends.append(position + shift)
            joined += self._data[message.start : message.end]
        joined += bytes(8)
        layout = tables.layout(messages[0])
        lanes = Lanes(np.frombuffer(joined, np.uint8), np.array(starts))
        try:
            positions = lanes.walk(layout, np.array(starts) * 8, np.arange(len(starts)), lanes.columns)
        except IndexError as error:
            raise self._damaged(messages[0], messages[0].values) from error
        if (positions > np.array(ends) * 8).any():
            raise self._damaged(messages[0], messages[0].values)
        self.subsets += len(starts)
        category = tables.category(messages[0])
        known = named_fields(layout)
        cycle = cast(datetime, messages[0].cycle)  # only messages of tables have none
        return _rows(cycle, category, lanes, known, self._window_hours, self._sensible)

    def _damaged(self, message: Message, position: int) -> PrepBufrError:
        return PrepBufrError(
            f"{self._path} is damaged: a report at or after byte {position}, in the message at byte {message.start}, "
            "does not fit its template; get the file again"
        )


def _rows(
    cycle: datetime,
    category: str,
    lanes: Lanes,
    known: dict[str, Field],
    window_hours: float | None,
    sensible: bool,
) -> Reports:
    """Turn the codes of levels into rows of data in SI units."""

    def scaled(name: str, code: np.ndarray | None = None) -> np.ndarray:
        """Values, NaN if missing; of the header they are spread over the levels."""
        if name not in lanes.columns:
            return np.full(len(lanes.owner), np.nan)
        code = lanes.columns[name] if code is None else code
        values = np.where(code < 0, np.nan, (code.astype(float) + known[name].reference) / 10.0 ** known[name].scale)
        return values[lanes.owner] if name in HEADER else values

    def either(of_level: str, of_report: str) -> np.ndarray:
        level = scaled(of_level)
        return np.where(np.isnan(level), scaled(of_report), level)

    def codes(name: str, missing: int) -> np.ndarray:
        code = lanes.columns.get(name, np.full(len(lanes.owner), -1))
        return np.where(code < 0, missing, code)

    size = len(lanes.owner)
    shape = (size, len(VARIABLES))
    value = np.full(shape, np.nan)
    error = np.full(shape, np.nan, dtype="f4")
    quality = np.zeros(shape, dtype="i1")
    virtual = np.zeros(shape, dtype=bool)
    for index, (observation, deviation, mark, factor, offset) in enumerate(LEVEL.values()):
        value[:, index] = scaled(observation) * factor + offset
        if deviation:
            error[:, index] = scaled(deviation) * factor
        quality[:, index] = codes(mark, MISSING_MARK)
    temperature = VARIABLES.index("t")
    virtual[:, temperature] = lanes.virtual
    if sensible and "TOB" in lanes.columns:
        replaced = lanes.before_virtual >= 0
        value[replaced, temperature] = scaled("TOB", lanes.before_virtual)[replaced] + FREEZING
        virtual[replaced, temperature] = False

    latitude = either("YDR", "YOB")
    longitude = either("XDR", "XOB") % 360.0
    time_offset = either("HRDR", "DHR")
    kept = np.isfinite(latitude) & np.isfinite(longitude) & np.isfinite(time_offset)
    if window_hours is not None:
        kept &= np.abs(time_offset) <= window_hours
    level, variable = np.nonzero(np.isfinite(value) & kept[:, None])
    station = lanes.columns.get("SID", np.zeros(0, "S8"))[lanes.owner]
    report_type = lanes.columns.get("TYP", np.zeros(0, "i2"))[lanes.owner]
    return Reports(
        cycle=cycle,
        category=np.full(len(level), category, dtype="S8"),
        report_type=report_type[level].astype("i2"),
        station=station[level],
        latitude=latitude[level],
        longitude=longitude[level],
        time_offset=time_offset[level],
        elevation=scaled("ELV")[level].astype("f4"),
        level_category=codes("CAT", -1)[level].astype("i1"),
        pressure=scaled("POB")[level].astype("f4"),
        variable=variable.astype("i1"),
        value=value[level, variable],
        error=error[level, variable],
        quality=quality[level, variable],
        virtual=virtual[level, variable],
        counts={category: lanes.subsets} if category else {},
    )
