"""Reader of NCEP's PrepBUFR: one row per datum.

pybufrkit reads the tables that a file brings with it and expands its templates. The values are read here, field by
field for all subsets of many messages at once. A template becomes a list of fields and repetitions. Every subset, and
within a repetition every one that has so many, is a lane with its own position in bits, so that a field of a thousand
reports is one gather. NCEP writes the length of each subset in front of it, which gives the lanes their start.

References: https://www.emc.ncep.noaa.gov/emc/pages/infrastructure/bufrlib.php and, for mnemonics, quality marks and
program codes, https://www.emc.ncep.noaa.gov/mmb/data_processing/prepbufr.doc/
"""

import logging
import mmap
import time as clock
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime

import numpy as np
import pybufrkit.tables
from pybufrkit.dataprocessor import BufrTableDefinitionProcessor
from pybufrkit.decoder import Decoder
from pybufrkit.descriptors import (
    DelayedReplicationDescriptor,
    ElementDescriptor,
    FixedReplicationDescriptor,
    OperatorDescriptor,
    SequenceDescriptor,
)
from pybufrkit.tables import TableGroupCacheManager

# it warns of every table message that it takes the default of the centre's own tables
logging.getLogger(pybufrkit.tables.__file__).setLevel(logging.ERROR)

#: observed variables; the column `variable` holds indices into this
VARIABLES = ("p", "q", "t", "z", "u", "v")

#: message types of PrepBUFR
ALL = tuple(
    "ADPUPA AIRCAR AIRCFT SATWND PROFLR VADWND SATEMP ADPSFC SFCSHP SFCBOG SPSSMI SYNDAT ERS1DA GOESND QKSWND MSONET "
    "GPSIPW RASSDA WDSATR ASCATW".split()
)

GRAVITY = 9.80665  # m s-2, from metres to geopotential
FREEZING = 273.15  # K

#: program code of the step that makes temperatures virtual
VIRTMP = 8
MISSING_MARK = 31

CHUNK = 8 << 20  # bytes of messages decoded at once
PROGRESS_SECONDS = 5.0

TABLES_CATEGORY = 11
BYTE_COUNT = 63000  # descriptor of the length of a subset in bytes, itself included
LARGEST_GAP = 64  # bytes between messages: lengths of Fortran records and padding

_HEADER = ("SID", "XOB", "YOB", "DHR", "ELV", "TYP")
#: variable -> mnemonics of observation, error and quality mark, and factor and offset to SI. The error of humidity is
#: one of relative humidity, which is no error of q without temperature and pressure; heights have none
_LEVEL = {
    "p": ("POB", "POE", "PQM", 100.0, 0.0),
    "q": ("QOB", None, "QQM", 1e-6, 0.0),
    "t": ("TOB", "TOE", "TQM", 1.0, FREEZING),
    "z": ("ZOB", None, "ZQM", GRAVITY, 0.0),
    "u": ("UOB", "WOE", "WQM", 1.0, 0.0),
    "v": ("VOB", "WOE", "WQM", 1.0, 0.0),
}
_WANTED = {*_HEADER, "CAT", "TPC", "XDR", "YDR", "HRDR"} | {name for row in _LEVEL.values() for name in row[:3] if name}


class PrepBufrError(ValueError):
    """A file is not what it should be; the message says what was found where."""


@dataclass(frozen=True)
class Reports:
    """Data of reports: columns of equal length, a row per datum, those of a level and of a report together.

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
    counts: dict = field(default_factory=dict)

    def __len__(self):
        return len(self.value)


#: names of the columns of `Reports`
COLUMNS = tuple(entry.name for entry in fields(Reports) if entry.name not in ("cycle", "counts"))


def read_prepbufr(
    path,
    categories=ALL,
    window_hours: float | None = None,
    progress: Callable[[str], None] = print,
    sensible: bool = False,
) -> Reports:
    """All data of a file; see `iterate_prepbufr` for the parameters and errors."""
    parts, counts = {name: [] for name in COLUMNS}, {}
    for piece in iterate_prepbufr(path, categories, window_hours, progress, sensible):
        for name in COLUMNS:
            parts[name].append(getattr(piece, name))
        for name, count in piece.counts.items():
            counts[name] = counts.get(name, 0) + count
    # the pieces of a column go when it is whole, so that there are never two of everything
    columns = {name: np.concatenate(parts.pop(name)) for name in COLUMNS}
    return Reports(cycle=piece.cycle, counts=counts, **columns)


def iterate_prepbufr(
    path,
    categories=ALL,
    window_hours: float | None = None,
    progress: Callable[[str], None] = print,
    sensible: bool = False,
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
        Keep data within so many hours of the cycle.
    progress : callable
        Gets a line every few seconds.
    sensible : bool
        In place of a virtual temperature give the newest of the events before VIRTMP, where there is one. The quality
        mark stays that of the newest event, for later checks apply to both.

    Raises
    ------
    PrepBufrError
        If the file is missing, truncated, damaged, or not PrepBUFR.
    """
    unknown = sorted(set(categories) - set(ALL))
    if unknown:
        raise ValueError(f"message types {', '.join(unknown)} are unknown; known are {', '.join(ALL)}")
    data = _open(path)
    tables, read = _Tables(path), _Pieces(path, data, window_hours, sensible)
    cycle, empty, last = None, True, clock.monotonic()
    for message in _messages(path, data):
        if message.category == TABLES_CATEGORY:
            if message.subsets:
                yield from read.rest(tables)
                tables.add(data, message)
            continue
        if cycle is not None and message.cycle != cycle:
            raise PrepBufrError(
                f"{path}: holds the cycles {cycle:%Y-%m-%d %H} and {message.cycle:%Y-%m-%d %H}; give one file a cycle"
            )
        cycle = message.cycle
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
    if cycle is None:
        raise PrepBufrError(f"{path}: holds {tables.count} messages of tables, but none of reports; get it again")
    if empty:
        yield _rows(cycle, "", _Lanes(np.zeros(8, np.uint8), np.zeros(0, np.int64)), {}, window_hours, sensible)


# --- messages ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Message:
    start: int
    end: int
    values: int  # first byte of the first subset
    category: int
    cycle: datetime | None
    subsets: int
    descriptors: tuple[int, ...]


def _open(path):
    try:
        with open(path, "rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise PrepBufrError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:  # an empty file cannot be mapped
        raise PrepBufrError(f"{path}: is empty; get it again") from error


def _messages(path, data) -> Iterator[_Message]:
    """Headers of all messages."""
    position, size = 0, len(data)
    while True:
        start = data.find(b"BUFR", position)
        if start < 0 and position == 0:
            raise PrepBufrError(f"{path}: is not BUFR: begins with {data[:8]!r} and holds no message; check the path")
        if (size if start < 0 else start) - position > LARGEST_GAP:
            raise PrepBufrError(f"{path}: is damaged: what stands at byte {position} is not BUFR; get it again")
        if start < 0:
            if data[position:].endswith((b"B", b"BU", b"BUF")):
                raise PrepBufrError(
                    f"{path}: is truncated: it ends at byte {size}, where a message begins; get it again"
                )
            return
        end = start + int.from_bytes(data[start + 4 : start + 7], "big")
        if end > size or start + 8 > size:
            raise PrepBufrError(
                f"{path}: is truncated: the message at byte {start} ends at {end}, the file at {size}; get it again"
            )
        try:
            if end - start < 8 or data[end - 4 : end] != b"7777":
                raise ValueError("it does not end where it says")
            message = _header(path, data, start, end)
        except PrepBufrError:
            raise
        except (IndexError, ValueError) as error:
            raise PrepBufrError(f"{path}: is damaged: the message at byte {start}: {error}; get it again") from error
        yield message
        position = end


def _header(path, data, start, end) -> _Message:
    """Sections 0, 1 and 3 of a message of edition 2 or 3."""
    edition = data[start + 7]
    if edition not in (2, 3):
        raise PrepBufrError(f"{path}: the message at byte {start} is of BUFR edition {edition}; PrepBUFR is of 3")
    section = start + 8
    category, (year, month, day, hour, minute) = data[section + 8], data[section + 12 : section + 17]
    century = data[section + 17] or (20 if year > 40 else 21)
    has_second_section = data[section + 7] & 0x80
    section += int.from_bytes(data[section : section + 3], "big")
    if has_second_section:
        section += int.from_bytes(data[section : section + 3], "big")
    length = int.from_bytes(data[section : section + 3], "big")
    if data[section + 6] & 0x40:
        raise PrepBufrError(f"{path}: the message at byte {start} is compressed, which PrepBUFR is not; check the path")
    packed = np.frombuffer(data[section + 7 : section + 7 + (length - 7) // 2 * 2], dtype=">u2").astype(int)
    descriptors = (packed >> 14) * 100000 + (packed >> 8 & 63) * 1000 + (packed & 255)
    cycle = None
    if category != TABLES_CATEGORY:
        cycle = datetime(100 * (century - 1) + year, month, day, hour, minute, tzinfo=UTC)
    subsets = int.from_bytes(data[section + 4 : section + 6], "big")
    return _Message(start, end, section + length + 4, category, cycle, subsets, tuple(descriptors.tolist()))


# --- tables and templates ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Field:
    """Bits in a row; the name is None where nothing of them is wanted."""

    name: str | None
    width: int
    scale: int = 0
    reference: int = 0


@dataclass(frozen=True)
class _Repeat:
    """What stands as often as the number in front of it says; `width` is None where it varies."""

    factor_width: int
    members: tuple
    names: frozenset
    width: int | None


class _Tables:
    """The tables of a file, and the layouts of the templates that they define."""

    def __init__(self, path):
        self.path, self.count = path, 0
        self._elements, self._sequences, self._layouts = {}, {}, {}
        self._group = None

    def add(self, data, message: _Message):
        try:
            decoded = Decoder().process(data[message.start : message.end], start_signature=None)
            _, elements, sequences = BufrTableDefinitionProcessor().process(decoded)
        except Exception as error:  # pybufrkit raises errors of many kinds
            raise PrepBufrError(
                f"{self.path}: the tables at byte {message.start} cannot be read ({error}); get the file again"
            ) from error
        self._elements.update(elements)
        self._sequences.update(sequences)
        self._layouts.clear()
        self._group = None
        self.count += 1

    def category(self, message: _Message) -> str:
        """Name of the message's type."""
        names = [self._sequences[f"{number:06d}"][0] for number in message.descriptors if self._defines(number)]
        if not names:
            raise PrepBufrError(
                f"{self.path}: is BUFR, but not PrepBUFR: no tables define the message at byte {message.start}; give a "
                "file that NCEP names prepbufr"
            )
        return names[0].split()[0]

    def _defines(self, number):
        return number >= 300000 and f"{number:06d}" in self._sequences

    def layout(self, message: _Message) -> tuple:
        """Fields and repetitions of a subset, up to the last that is wanted."""
        if message.descriptors not in self._layouts:
            self._layouts[message.descriptors] = self._make_layout(message)
        return self._layouts[message.descriptors]

    def _make_layout(self, message):
        where = f"{self.path}: the template of the message at byte {message.start}"
        if message.descriptors[0] != BYTE_COUNT:
            raise PrepBufrError(f"{where} has no length of subsets; only files written by NCEP's library are read")
        cache = TableGroupCacheManager
        try:
            cache.invalidate()
            cache.clear_extra_entries()
            cache.add_extra_entries(self._elements, self._sequences)
            self._group = self._group or cache.get_table_group()
            layout = _layout(self._group.template_from_ids(*message.descriptors).members, {})
        except PrepBufrError as error:
            raise PrepBufrError(f"{where} {error}") from error
        except Exception as error:  # pybufrkit raises errors of many kinds
            raise PrepBufrError(f"{where} cannot be expanded ({error}); get the file again") from error
        finally:
            # its tables are the process's: leave nothing behind for other files
            cache.clear_extra_entries()
            cache.invalidate()
        missing = sorted({*_HEADER, "CAT"} - _names(layout))
        if missing:
            raise PrepBufrError(f"{where} lacks {', '.join(missing)}; this is not PrepBUFR")
        while not _names(layout[-1:]):
            layout = layout[:-1]
        return layout


def _layout(descriptors, operators: dict) -> tuple:
    """Descriptors as fields and repetitions; operators change the fields that follow, also in other sequences."""
    nodes = []
    for descriptor in descriptors:
        if isinstance(descriptor, SequenceDescriptor):
            nodes += _layout(descriptor.members, operators)
        elif isinstance(descriptor, FixedReplicationDescriptor):
            nodes += _layout(descriptor.members, operators) * descriptor.n_repeats
        elif isinstance(descriptor, DelayedReplicationDescriptor):
            members = _layout(descriptor.members, operators)
            varies = any(isinstance(node, _Repeat) for node in members)
            width = None if varies else sum(node.width for node in members)
            nodes.append(_Repeat(descriptor.factor.nbits, members, _names(members), width))
        elif isinstance(descriptor, OperatorDescriptor):
            if descriptor.id // 1000 not in (201, 202, 206, 207):
                raise PrepBufrError(f"has the operator {descriptor.id}, which is not known here")
            operators[descriptor.id // 1000] = descriptor.id % 1000
        elif isinstance(descriptor, ElementDescriptor):
            nodes.append(_field(descriptor, operators))
        else:
            raise PrepBufrError(f"has the descriptor {descriptor.id:06d}, which its tables do not define")
    return _merge(nodes)


def _field(descriptor, operators) -> _Field:
    width, scale, reference = descriptor.nbits, descriptor.scale, descriptor.refval
    if not descriptor.unit.startswith(("CCITT", "CODE", "FLAG")):
        digits = operators.get(207, 0)
        width += (operators.get(201) or 128) - 128 + (10 * digits + 2) // 3
        scale += (operators.get(202) or 128) - 128 + digits
        reference *= 10**digits
    width = operators.pop(206, width)
    name = descriptor.name.split()[0]
    return _Field(name if name in _WANTED else None, width, scale, reference)


def _merge(nodes) -> tuple:
    """Fields in a row of which nothing is wanted as one."""
    merged = []
    for node in nodes:
        skipped = isinstance(node, _Field) and node.name is None
        if skipped and merged and isinstance(merged[-1], _Field) and merged[-1].name is None:
            merged[-1] = _Field(None, merged[-1].width + node.width)
        else:
            merged.append(node)
    return tuple(merged)


def _names(nodes) -> frozenset:
    """Names of all fields."""
    parts = [node.names if isinstance(node, _Repeat) else {node.name} - {None} for node in nodes]
    return frozenset().union(*parts)


# --- values -----------------------------------------------------------------------------------------------------------


class _Lanes:
    """Codes of the wanted fields of subsets; -1 is missing.

    Attributes
    ----------
    columns : dict
        Name to codes, (subsets,) for those of the header and (levels,) for all others.
    owner : array (levels,)
        Index of the subset of each level.
    virtual, before_virtual : arrays (levels,)
        Whether VIRTMP is among the events of temperature; code of the temperature before, -1 if there is none.
    """

    def __init__(self, buffer: np.ndarray, starts: np.ndarray):
        # every 8 bytes, from each byte on: a field of up to 57 bits lies within those of its first bit
        self._words = np.ndarray((len(buffer) - 7,), dtype=">u8", buffer=buffer, strides=(1,))
        self._bytes = buffer
        self.subsets = len(starts)
        self.columns = {}
        self._set_levels(np.arange(len(starts)))

    def _set_levels(self, owner):
        self.owner = owner
        self.virtual = np.zeros(len(owner), dtype=bool)
        self._newer_is_virtual = np.zeros(len(owner), dtype=bool)
        self.before_virtual = np.full(len(owner), -1, dtype=np.int32)

    def bits(self, position, width) -> np.ndarray:
        """Unsigned integers of `width` bits at positions in bits."""
        words = self._words[position >> 3].astype(np.uint64)
        return ((words << (position & 7).astype(np.uint64)) >> np.uint64(64 - width)).astype(np.int64)

    def walk(self, nodes, position, rows, columns) -> np.ndarray:
        """Read a layout in every lane, into the rows of the columns; gives the position behind."""
        for node in nodes:
            if isinstance(node, _Repeat):
                position = self._repeat(node, position, rows, columns)
                continue
            if node.name == "SID":
                columns["SID"] = self._text(position)
            elif node.name:
                code = self.bits(position, node.width)
                code[code == (1 << node.width) - 1] = -1
                if node.name not in columns:
                    size = self.subsets if node.name in _HEADER else len(self.owner)
                    columns[node.name] = np.full(size, -1, dtype=np.int32)
                columns[node.name][rows] = code
            position = position + node.width
        return position

    def _repeat(self, node, position, rows, columns):
        count = self.bits(position, node.factor_width)
        position = position + node.factor_width
        if node.width is not None and not node.names:
            return position + count * node.width
        levels, temperature = "CAT" in node.names, "TPC" in node.names and node.width is not None
        if levels:
            first = np.cumsum(count) - count
            self._set_levels(np.repeat(rows, count))
        older = {}
        for index in range(count.max(initial=0)):
            lanes = np.flatnonzero(count > index)
            if index and node.names and not levels and not temperature and node.width is not None:
                # the newest event comes first; the others are only looked at where they tell about virtual temperature
                position[lanes] += (count[lanes] - 1) * node.width
                break
            inner = first[lanes] + index if levels else rows[lanes]
            target = older if index and not levels else columns
            position[lanes] = self.walk(node.members, position[lanes], inner, target)
            if temperature:
                self._trace_virtual(inner, target)
        return position

    def _trace_virtual(self, rows, event):
        """Take note of one event of temperature, from the newest to the oldest."""
        by_virtmp = event["TPC"][rows] == VIRTMP
        before = rows[self._newer_is_virtual[rows] & ~by_virtmp]
        self.before_virtual[before] = event["TOB"][before]
        self._newer_is_virtual[rows] = by_virtmp
        self.virtual[rows] |= by_virtmp

    def _text(self, position) -> np.ndarray:
        """Eight characters without trailing blanks; empty if missing."""
        characters = np.stack([self.bits(position + 8 * index, 8) for index in range(8)], axis=-1).astype(np.uint8)
        characters[(characters == 255).all(axis=-1)] = 0
        return np.char.rstrip(characters.view("S8").ravel())


class _Pieces:
    """Collects messages by template and decodes them when they are many."""

    def __init__(self, path, data, window_hours, sensible):
        self.subsets = 0
        self._path, self._data, self._options = path, data, (window_hours, sensible)
        self._waiting, self._bytes = {}, {}

    def add(self, message: _Message, tables: _Tables) -> Iterator[Reports]:
        waiting = self._waiting.setdefault(message.descriptors, [])
        waiting.append(message)
        self._bytes[message.descriptors] = self._bytes.get(message.descriptors, 0) + message.end - message.start
        if self._bytes[message.descriptors] >= CHUNK:
            self._bytes.pop(message.descriptors)
            yield self._decode(self._waiting.pop(message.descriptors), tables)

    def rest(self, tables: _Tables) -> Iterator[Reports]:
        self._bytes.clear()
        while self._waiting:
            yield self._decode(self._waiting.pop(next(iter(self._waiting))), tables)

    def _decode(self, messages, tables) -> Reports:
        starts, ends, joined = [], [], bytearray()
        for message in messages:
            position, shift = message.values, len(joined) - message.start
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
        lanes = _Lanes(np.frombuffer(joined, np.uint8), np.array(starts))
        try:
            positions = lanes.walk(layout, np.array(starts) * 8, np.arange(len(starts)), lanes.columns)
        except IndexError as error:
            raise self._damaged(messages[0], messages[0].values) from error
        if (positions > np.array(ends) * 8).any():
            raise self._damaged(messages[0], messages[0].values)
        self.subsets += len(starts)
        return _rows(messages[0].cycle, tables.category(messages[0]), lanes, _fields(layout), *self._options)

    def _damaged(self, message, position):
        return PrepBufrError(
            f"{self._path}: a report at or after byte {position}, in the message at byte {message.start}, does not fit "
            "its template; the file is damaged, get it again"
        )


def _fields(layout) -> dict:
    """Name -> field, of all that are wanted."""
    found = {}
    for node in layout:
        found |= _fields(node.members) if isinstance(node, _Repeat) else {node.name: node}
    return found


def _rows(cycle, category, lanes: _Lanes, known: dict, window_hours, sensible) -> Reports:
    """Codes of levels as rows of data in SI units."""

    def scaled(name, code=None):
        """Values, NaN if missing; of the header they are spread over the levels."""
        if name not in lanes.columns:
            return np.full(len(lanes.owner), np.nan)
        code = lanes.columns[name] if code is None else code
        values = np.where(code < 0, np.nan, (code.astype(float) + known[name].reference) / 10.0 ** known[name].scale)
        return values[lanes.owner] if name in _HEADER else values

    def either(of_level, of_report):
        level = scaled(of_level)
        return np.where(np.isnan(level), scaled(of_report), level)

    def codes(name, missing):
        code = lanes.columns.get(name, np.full(len(lanes.owner), -1))
        return np.where(code < 0, missing, code)

    size = len(lanes.owner)
    value, error = np.full((size, len(VARIABLES)), np.nan), np.full((size, len(VARIABLES)), np.nan, dtype="f4")
    quality, virtual = np.zeros((size, len(VARIABLES)), dtype="i1"), np.zeros((size, len(VARIABLES)), dtype=bool)
    for index, (observation, deviation, mark, factor, offset) in enumerate(_LEVEL.values()):
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

    latitude, longitude, time_offset = either("YDR", "YOB"), either("XDR", "XOB") % 360.0, either("HRDR", "DHR")
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
