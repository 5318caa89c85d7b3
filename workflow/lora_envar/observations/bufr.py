"""Messages of a PrepBUFR file, and the layouts of their templates, from the tables that the file brings with it.

pybufrkit reads the tables and expands the templates. A template becomes a list of fields and repetitions, by which
`lanes` reads the values.

Reference: https://www.emc.ncep.noaa.gov/emc/pages/infrastructure/bufrlib.php
"""

import logging
import mmap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from os import PathLike
from typing import Any

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

from ..files.kinds import UNKNOWN, kind_of
from .mnemonics import HEADER, WANTED

# it warns of every table message that it takes the default of the centre's own tables
logging.getLogger(pybufrkit.tables.__file__).setLevel(logging.ERROR)

TABLES_CATEGORY = 11
BYTE_COUNT = 63000  # descriptor of the length of a subset in bytes, itself included
LARGEST_GAP = 64  # bytes between messages: lengths of Fortran records and padding


class PrepBufrError(ValueError):
    """A file is not what it should be; the message says what was found, and where."""


# --- messages ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Message:
    """The position of a message in its file, and its header."""

    start: int
    end: int
    values: int  # first byte of the first subset
    category: int
    cycle: datetime | None
    subsets: int
    descriptors: tuple[int, ...]


def open_file(path: str | PathLike[str]) -> mmap.mmap:
    """The bytes of a file, mapped into memory."""
    try:
        with open(path, "rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise PrepBufrError(f"{path} cannot be read ({error.strerror}); check the path") from error
    except ValueError as error:  # an empty file cannot be mapped
        raise PrepBufrError(f"{path} is empty; get it again") from error


def all_messages(path: str | PathLike[str], data: mmap.mmap) -> Iterator[Message]:
    """Headers of all messages."""
    for start, end in message_bounds(path, data):
        try:
            message = _header(path, data, start, end)
        except PrepBufrError:
            raise
        except (IndexError, ValueError) as error:
            raise PrepBufrError(
                f"{path} is damaged: the message at byte {start} cannot be read ({error}); get it again"
            ) from error
        yield message


def message_bounds(path: str | PathLike[str], data: mmap.mmap) -> Iterator[tuple[int, int]]:
    """The first byte of each BUFR message, of any edition, and the byte after it.

    Raises
    ------
    PrepBufrError
        If the file is of another kind, is truncated, or has anything but messages and what may lie between them.
    """
    position = 0
    size = len(data)
    while True:
        start = data.find(b"BUFR", position)
        if position == 0:
            _check_kind(path, data, start)
        if (size if start < 0 else start) - position > LARGEST_GAP:
            raise PrepBufrError(f"{path} is damaged: what stands at byte {position} is not BUFR; get it again")
        if start < 0:
            if data[position:].endswith((b"B", b"BU", b"BUF")):
                raise PrepBufrError(
                    f"{path} is truncated: it ends at byte {size}, where a message begins; get it again"
                )
            return
        end = start + int.from_bytes(data[start + 4 : start + 7], "big")
        if end > size or start + 8 > size:
            raise PrepBufrError(
                f"{path} is truncated: the message at byte {start} ends at byte {end}, but the file at byte {size}; "
                "get it again"
            )
        if end - start < 8 or data[end - 4 : end] != b"7777":
            raise PrepBufrError(
                f"{path} is damaged: the message at byte {start} does not end where its length says; get it again"
            )
        yield start, end
        position = end


def _check_kind(path: str | PathLike[str], data: mmap.mmap, start: int) -> None:
    """Refuse a file of another kind, judged by its first bytes, and a file without any message."""
    kind, advice = kind_of(path)
    if advice:
        raise PrepBufrError(f"{path} is {kind}, not BUFR; {advice}")
    if start < 0:
        raise PrepBufrError(
            f"{path} is not BUFR: it begins with {data[:8]!r} (the file is {kind}) and has no message; check the path"
        )
    if start > LARGEST_GAP and kind != UNKNOWN:
        raise PrepBufrError(f"{path} is {kind}, not BUFR; check the path")


def _header(path: str | PathLike[str], data: mmap.mmap, start: int, end: int) -> Message:
    """Sections 0, 1 and 3 of a message of edition 2 or 3."""
    edition = data[start + 7]
    if edition not in (2, 3):
        raise PrepBufrError(
            f"{path} is BUFR, but not PrepBUFR: the message at byte {start} has edition {edition}, and PrepBUFR has "
            "edition 3; give a file that NCEP names prepbufr"
        )
    section = start + 8
    category = data[section + 8]
    year, month, day, hour, minute = data[section + 12 : section + 17]
    century = data[section + 17] or (20 if year > 40 else 21)
    has_second_section = data[section + 7] & 0x80
    section += int.from_bytes(data[section : section + 3], "big")
    if has_second_section:
        section += int.from_bytes(data[section : section + 3], "big")
    length = int.from_bytes(data[section : section + 3], "big")
    if data[section + 6] & 0x40:
        raise PrepBufrError(
            f"{path} is BUFR, but not PrepBUFR: the message at byte {start} is compressed, which PrepBUFR never is; "
            "give a file that NCEP names prepbufr"
        )
    packed = np.frombuffer(data[section + 7 : section + 7 + (length - 7) // 2 * 2], dtype=">u2").astype(int)
    descriptors = (packed >> 14) * 100000 + (packed >> 8 & 63) * 1000 + (packed & 255)
    cycle = None
    if category != TABLES_CATEGORY:
        cycle = datetime(100 * (century - 1) + year, month, day, hour, minute, tzinfo=UTC)
    subsets = int.from_bytes(data[section + 4 : section + 6], "big")
    return Message(start, end, section + length + 4, category, cycle, subsets, tuple(descriptors.tolist()))


# --- tables and templates ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Field:
    """Consecutive bits; the name is None if none of them is needed."""

    name: str | None
    width: int
    scale: int = 0
    reference: int = 0


@dataclass(frozen=True)
class Repeat:
    """What is repeated as often as the number before it says; `width` is None where it varies."""

    factor_width: int
    members: tuple["Field | Repeat", ...]
    names: frozenset[str]
    width: int | None


Layout = tuple[Field | Repeat, ...]


class Tables:
    """The tables of a file, and the layouts of the templates that they define."""

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = path
        self.count = 0
        self._elements: dict[str, Any] = {}
        self._sequences: dict[str, Any] = {}
        self._layouts: dict[tuple[int, ...], Layout] = {}
        self._group: Any = None

    def add(self, data: mmap.mmap, start: int, end: int) -> None:
        """Add the tables of the message at these bytes."""
        try:
            decoded = Decoder().process(data[start:end], start_signature=None)
            _, elements, sequences = BufrTableDefinitionProcessor().process(decoded)
        except Exception as error:  # pybufrkit raises errors of many kinds
            raise PrepBufrError(
                f"{self.path}: the tables at byte {start} cannot be read ({error}); get the file again"
            ) from error
        self._elements.update(elements)
        self._sequences.update(sequences)
        self._layouts.clear()
        self._group = None
        self.count += 1

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """A context in which pybufrkit knows the tables of the file, in addition to its own."""
        cache = TableGroupCacheManager
        try:
            cache.invalidate()
            cache.clear_extra_entries()
            cache.add_extra_entries(self._elements, self._sequences)
            yield
        finally:
            # its tables are the process's: leave nothing behind for other files
            cache.clear_extra_entries()
            cache.invalidate()

    def category(self, message: Message) -> str:
        """The name of the message's type."""
        names = [self._sequences[f"{number:06d}"][0] for number in message.descriptors if self._defines(number)]
        if not names and not self.count:
            raise PrepBufrError(
                f"{self.path} is BUFR, but lacks the tables that PrepBUFR brings with it: nothing defines the message "
                f"at byte {message.start}; give a file that begins with its tables, as NCEP's prepbufr files do"
            )
        if not names:
            raise PrepBufrError(
                f"{self.path} is BUFR, but not PrepBUFR: no table defines the message at byte {message.start}; give a "
                "file that NCEP names prepbufr"
            )
        return names[0].split()[0]

    def _defines(self, number: int) -> bool:
        return number >= 300000 and f"{number:06d}" in self._sequences

    def layout(self, message: Message) -> Layout:
        """Fields and repetitions of a subset, up to the last one that is needed."""
        if message.descriptors not in self._layouts:
            self._layouts[message.descriptors] = self._make_layout(message)
        return self._layouts[message.descriptors]

    def _make_layout(self, message: Message) -> Layout:
        where = f"{self.path}: the template of the message at byte {message.start}"
        if message.descriptors[0] != BYTE_COUNT:
            raise PrepBufrError(
                f"{where} does not give the lengths of the subsets; give a file that NCEP's library has written"
            )
        try:
            with self.in_force():
                self._group = self._group or TableGroupCacheManager.get_table_group()
                layout = _layout(self._group.template_from_ids(*message.descriptors).members, {})
        except PrepBufrError as error:
            raise PrepBufrError(f"{where} {error}") from error
        except Exception as error:  # pybufrkit raises errors of many kinds
            raise PrepBufrError(f"{where} cannot be expanded ({error}); get the file again") from error
        missing = sorted({*HEADER, "CAT"} - _names(layout))
        if missing:
            raise PrepBufrError(
                f"{where} has no {', '.join(missing)}, so the file is not PrepBUFR; give a file that NCEP names "
                "prepbufr"
            )
        while not _names(layout[-1:]):
            layout = layout[:-1]
        return layout


def _layout(descriptors: Iterable[Any], operators: dict[int, int]) -> Layout:
    """Descriptors as fields and repetitions; operators change the fields that follow, also in other sequences."""
    nodes: list[Field | Repeat] = []
    for descriptor in descriptors:
        if isinstance(descriptor, SequenceDescriptor):
            nodes += _layout(descriptor.members, operators)
        elif isinstance(descriptor, FixedReplicationDescriptor):
            nodes += _layout(descriptor.members, operators) * descriptor.n_repeats
        elif isinstance(descriptor, DelayedReplicationDescriptor):
            members = _layout(descriptor.members, operators)
            widths = [node.width for node in members if isinstance(node, Field)]
            width = sum(widths) if len(widths) == len(members) else None
            nodes.append(Repeat(descriptor.factor.nbits, members, _names(members), width))
        elif isinstance(descriptor, OperatorDescriptor):
            if descriptor.id // 1000 not in (201, 202, 206, 207):
                raise PrepBufrError(f"has the operator {descriptor.id}, which is not supported")
            operators[descriptor.id // 1000] = descriptor.id % 1000
        elif isinstance(descriptor, ElementDescriptor):
            nodes.append(_field(descriptor, operators))
        else:
            raise PrepBufrError(f"has the descriptor {descriptor.id:06d}, which its tables do not define")
    return _merge(nodes)


def _field(descriptor: ElementDescriptor, operators: dict[int, int]) -> Field:
    width = descriptor.nbits
    scale = descriptor.scale
    reference = descriptor.refval
    if not descriptor.unit.startswith(("CCITT", "CODE", "FLAG")):
        digits = operators.get(207, 0)
        width += (operators.get(201) or 128) - 128 + (10 * digits + 2) // 3
        scale += (operators.get(202) or 128) - 128 + digits
        reference *= 10**digits
    width = operators.pop(206, width)
    name = descriptor.name.split()[0]
    return Field(name if name in WANTED else None, width, scale, reference)


def _merge(nodes: Iterable[Field | Repeat]) -> Layout:
    """Merge consecutive fields that are not needed into one."""
    merged: list[Field | Repeat] = []
    for node in nodes:
        last = merged[-1] if merged else None
        if isinstance(node, Field) and node.name is None and isinstance(last, Field) and last.name is None:
            merged[-1] = Field(None, last.width + node.width)
        else:
            merged.append(node)
    return tuple(merged)


def _names(nodes: Iterable[Field | Repeat]) -> frozenset[str]:
    """Names of all fields."""
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, Repeat):
            found |= node.names
        elif node.name is not None:
            found.add(node.name)
    return frozenset(found)


def named_fields(layout: Layout) -> dict[str, Field]:
    """Name -> field, for all that are needed."""
    found: dict[str, Field] = {}
    for node in layout:
        if isinstance(node, Repeat):
            found |= named_fields(node.members)
        elif node.name is not None:
            found[node.name] = node
    return found
