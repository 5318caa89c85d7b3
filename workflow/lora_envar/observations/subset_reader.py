"""Reads the values of many subsets at once, field by field, from the bits of messages.

Every subset, and within a repetition every one that has so many, is a lane with its own position in bits, so that a
field of a thousand reports is one gather. NCEP writes the length of each subset in front of it, which gives the lanes
their start.
"""

import numpy as np

from .bufr import Layout, Repeat
from .mnemonics import HEADER, VIRTMP
from .names import printable_names


class Lanes:
    """Codes of the needed fields of subsets; -1 means missing.

    Attributes
    ----------
    columns : dict
        Name to codes, (subsets,) for those of the header and (levels,) for all others.
    owner : array (levels,)
        Index of the subset of each level.
    virtual, before_virtual : arrays (levels,)
        Whether VIRTMP is among the events of temperature; code of the temperature before, -1 if there is none.
    """

    def __init__(self, buffer: np.ndarray, starts: np.ndarray) -> None:
        # every 8 bytes, from each byte on: a field of up to 57 bits lies within those of its first bit
        self._words = np.ndarray((len(buffer) - 7,), dtype=">u8", buffer=buffer, strides=(1,))
        self._bytes = buffer
        self.subsets = len(starts)
        self.columns: dict[str, np.ndarray] = {}
        self._set_levels(np.arange(len(starts)))

    def _set_levels(self, owner: np.ndarray) -> None:
        self.owner = owner
        self.virtual = np.zeros(len(owner), dtype=bool)
        self._newer_is_virtual = np.zeros(len(owner), dtype=bool)
        self.before_virtual = np.full(len(owner), -1, dtype=np.int32)

    def bits(self, position: np.ndarray, width: int) -> np.ndarray:
        """Unsigned integers of `width` bits at positions in bits."""
        words = self._words[position >> 3].astype(np.uint64)
        return ((words << (position & 7).astype(np.uint64)) >> np.uint64(64 - width)).astype(np.int64)

    def walk(self, nodes: Layout, position: np.ndarray, rows: np.ndarray, columns: dict[str, np.ndarray]) -> np.ndarray:
        """Read a layout in every lane into the rows of the columns; return the position after it."""
        for node in nodes:
            if isinstance(node, Repeat):
                position = self._repeat(node, position, rows, columns)
                continue
            if node.name == "SID":
                columns["SID"] = self._text(position)
            elif node.name:
                code = self.bits(position, node.width)
                code[code == (1 << node.width) - 1] = -1
                if node.name not in columns:
                    size = self.subsets if node.name in HEADER else len(self.owner)
                    columns[node.name] = np.full(size, -1, dtype=np.int32)
                columns[node.name][rows] = code
            position = position + node.width
        return position

    def _repeat(
        self, node: Repeat, position: np.ndarray, rows: np.ndarray, columns: dict[str, np.ndarray]
    ) -> np.ndarray:
        count = self.bits(position, node.factor_width)
        position = position + node.factor_width
        if node.width is not None and not node.names:
            return position + count * node.width
        levels = "CAT" in node.names
        temperature = "TPC" in node.names and node.width is not None
        if levels:
            first = np.cumsum(count) - count
            self._set_levels(np.repeat(rows, count))
        older: dict[str, np.ndarray] = {}
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

    def _trace_virtual(self, rows: np.ndarray, event: dict[str, np.ndarray]) -> None:
        """Record one event of temperature, from the newest to the oldest."""
        by_virtmp = event["TPC"][rows] == VIRTMP
        before = rows[self._newer_is_virtual[rows] & ~by_virtmp]
        self.before_virtual[before] = event["TOB"][before]
        self._newer_is_virtual[rows] = by_virtmp
        self.virtual[rows] |= by_virtmp

    def _text(self, position: np.ndarray) -> np.ndarray:
        """Eight characters of ASCII without trailing blanks; empty if missing."""
        characters = np.stack([self.bits(position + 8 * index, 8) for index in range(8)], axis=-1).astype(np.uint8)
        characters[(characters == 255).all(axis=-1)] = 0
        return printable_names(characters.view("S8").ravel())
