"""Writer of PrepBUFR files: from one row per datum to reports, with tables of its own in front.

It shares no code with the reader, so that the two check each other.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..fields.constants import GRAVITY
from ..files.atomic import atomic_write
from ..observations.prepbufr import COLUMNS, VARIABLES, VIRTMP, Reports
from .prepbufr_tables import CATEGORIES, ELEMENTS, FACTORS, REPETITIONS, SEQUENCES, categories_of_one_level

#: variables -> letter of their mnemonics, mnemonic of the value, factor and offset from SI
_VALUES = {
    "p": ("P", "POB", 100.0, 0.0),
    "q": ("Q", "QOB", 1e-6, 0.0),
    "t": ("T", "TOB", 1.0, 273.15),
    "z": ("Z", "ZOB", GRAVITY, 0.0),
    "u": ("W", "UOB", 1.0, 0.0),
    "v": ("W", "VOB", 1.0, 0.0),
}
_ERRORS = {"P": ("POE", 100.0), "T": ("TOE", 1.0), "W": ("WOE", 1.0)}

MESSAGE_BYTES = 10000  # NCEP's length of messages
MOST_LEVELS = 250  # of a report; more go into another
LONGEST_LEAP_HOURS = 1.0  # between levels of an ascent
PREPRO = 1  # program code of the first event


def write_prepbufr(
    path: str | Path,
    cycle: datetime,
    reports: Reports,
    earlier: Sequence[np.ndarray] | np.ndarray = (),
    programs: ArrayLike | None = None,
) -> None:
    """Write reports such that reading gives the same rows, to the precision of PrepBUFR's fields.

    That is 0.1 hPa, 0.1 K, 1 mg/kg, 1 m, 0.1 m/s, 1e-5 degrees and hours, 1 m of elevation, 0.01 hPa and 0.1 of errors.

    Rows of a level follow each other, levels of a report too; rows of a level are read in the order of `VARIABLES`. A
    new report begins where category, report type, station or elevation change, and, but for the drifting balloons of
    ADPUPA, where place or time do. A pressure that no datum of its level reports is written with the mark 2, and is a
    datum when read. Errors of q and z are not written.

    Parameters
    ----------
    path : path
    cycle : datetime
    reports : Reports
        Categories out of `CATEGORIES`. `cycle` and `counts` of it are not looked at.
    earlier : array (events, rows), optional
        Values of the events before that of `reports.value`, in its units, from new to old; NaN for none, in both
        components of a wind alike.
    programs : array (1 + events, rows), optional
        Program codes of all events; else 8 (VIRTMP) for the newest of virtual temperatures, and 1.

    Raises
    ------
    ValueError
        If a category cannot be written, has no place for a variable, or a value does not fit its field.
    """
    count = len(reports)
    columns = {name: np.asarray(getattr(reports, name)) for name in COLUMNS}
    values = np.vstack([columns["value"][None], np.reshape(np.asarray(earlier), (len(earlier), count))]).astype(float)
    if programs is None:
        codes = np.full(values.shape, PREPRO)
        codes[0, columns["virtual"]] = VIRTMP
    else:
        codes = np.asarray(programs)
    reports_of, levels_of = _boundaries(columns)
    encoded = (
        (columns["category"][first].decode(), _subset(columns, values, codes, levels, number))
        for number, (first, levels) in enumerate(_groups(reports_of, levels_of))
    )
    with atomic_write(path) as temporary, open(temporary, "wb") as file:
        for message in (*_table_messages(), *_data_messages(encoded, cycle)):
            file.write(message)


# --- rows to levels and reports ---------------------------------------------------------------------------------------


def _boundaries(columns: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """For each row, whether it begins a report, and whether it begins a level."""
    categories = set(columns["category"].tolist())
    unknown = categories - {name.encode() for name in CATEGORIES}
    if unknown:
        raise ValueError(f"message types {unknown} cannot be written; those that can are {', '.join(CATEGORIES)}")

    def changes(*names: str) -> np.ndarray:
        changed = np.zeros(len(columns["value"]), dtype=bool)
        changed[:1] = True
        for name in names:
            column = columns[name]
            same = column[1:] == column[:-1]
            if column.dtype.kind == "f":
                same |= np.isnan(column[1:]) & np.isnan(column[:-1])
            changed[1:] |= ~same
        return changed

    place = changes("latitude", "longitude", "time_offset")
    report = changes("category", "report_type", "station", "elevation")
    level = report | place | changes("level_category", "pressure")
    for row in _repeated(columns, level):
        level[row] = True
    single = np.isin(columns["category"], [name.encode() for name in categories_of_one_level()])
    leap = np.abs(np.diff(columns["time_offset"], prepend=columns["time_offset"][:1])) > LONGEST_LEAP_HOURS
    report |= (place & (columns["category"] != b"ADPUPA")) | leap | (level & single)
    return report, level


def _repeated(columns: Mapping[str, np.ndarray], begins: np.ndarray) -> Iterator[int]:
    """Rows within levels that begin another: a second datum of a variable, or of a wind with another mark or error."""
    wind = {VARIABLES.index("u"), VARIABLES.index("v")}
    shared = zip(columns["quality"].tolist(), np.nan_to_num(columns["error"], nan=-1.0).tolist(), strict=True)
    seen: set[int] = set()
    marks: set[tuple[int, float]] = set()
    for row, (new, variable, mark) in enumerate(
        zip(begins.tolist(), columns["variable"].tolist(), shared, strict=True)
    ):
        differs = variable in wind and marks and mark not in marks
        if new or variable in seen or differs:
            seen = set()
            marks = set()
            if not new:
                yield row
        seen.add(variable)
        if variable in wind:
            marks.add(mark)


def _groups(begins_report: np.ndarray, begins_level: np.ndarray) -> Iterator[tuple[int, list[range]]]:
    """First row of each report, and the rows of each of its levels."""
    starts = np.flatnonzero(begins_level).tolist()
    levels: list[range] = []
    for start, end in zip(starts, [*starts[1:], len(begins_level)], strict=True):
        if levels and (begins_report[start] or len(levels) == MOST_LEVELS):
            yield levels[0].start, levels
            levels = []
        levels.append(range(start, end))
    if levels:
        yield levels[0].start, levels


def _subset(
    columns: Mapping[str, np.ndarray], values: np.ndarray, programs: np.ndarray, levels: list[range], number: int
) -> str:
    """A report in bits."""
    row = levels[0].start
    category = columns["category"][row].decode()
    place = [columns[name][row] for name in ("longitude", "latitude", "time_offset")]
    entries = [_level(columns, values, programs, rows, place) for rows in levels]
    header = {
        "SID": columns["station"][row],
        **dict(zip(("XOB", "YOB", "DHR"), place, strict=True)),
        "ELV": columns["elevation"][row],
        "TYP": columns["report_type"][row],
        "SQN": number,
    }
    members = SEQUENCES[category][1]
    repeated = next((member[1:-1] for member in members if member.startswith("{")), None)
    content = header | ({repeated: entries} if repeated else entries[0])
    holds = SEQUENCES[repeated or ("PRSLEVEL" if "PRSLEVEL" in members else category)][1]
    misplaced = {name for entry in entries for name in entry if name.endswith("INFO") and f"<{name}>" not in holds}
    if misplaced:
        raise ValueError(f"{category} has no place for {', '.join(sorted(misplaced))}")
    return _bits(members, content)


def _level(
    columns: Mapping[str, np.ndarray], values: np.ndarray, programs: np.ndarray, rows: range, place: list[float]
) -> dict[str, Any]:
    """Values of a level by mnemonic; those that are repeated are lists."""
    start = rows.start
    level: dict[str, Any] = {"CAT": columns["level_category"][start] if columns["level_category"][start] >= 0 else None}
    pressure = columns["pressure"][start]
    if np.isfinite(pressure):
        level["P___INFO"] = [{"P__EVENT": [{"POB": pressure, "PQM": 2, "PPC": PREPRO}]}]
    for row in rows:
        variable = VARIABLES[columns["variable"][row]]
        letter, mnemonic, factor, offset = _VALUES[variable]
        if variable == "p" and not abs(values[0, row] - 100.0 * pressure) < 5.0:
            raise ValueError(f"row {row}: p of {values[0, row]} Pa is not the pressure of its level, {pressure} hPa")
        events = [
            {
                mnemonic: (value - offset) / factor,
                f"{letter}QM": columns["quality"][row] if not index else 2,
                f"{letter}PC": program,
            }
            for index, (value, program) in enumerate(zip(values[:, row], programs[:, row], strict=True))
            if not index or np.isfinite(value)
        ]
        if letter == "W" and "W___INFO" in level:
            for event, component in zip(level["W___INFO"][0]["W__EVENT"], events, strict=True):
                event[mnemonic] = component[mnemonic]
            continue
        info: dict[str, Any] = {f"{letter}__EVENT": events}
        error = columns["error"][row]
        if letter in _ERRORS and np.isfinite(error):
            name, factor = _ERRORS[letter]
            info[f"{letter}__BACKG"] = [{name: error / factor}]
        level[f"{letter}___INFO"] = [info]
    where = [columns[name][start] for name in ("longitude", "latitude", "time_offset")]
    if where != place:
        level["DRFTINFO"] = [dict(zip(("XDR", "YDR", "HRDR"), where, strict=True))]
    return level


# --- bits -------------------------------------------------------------------------------------------------------------


def _bits(members: Sequence[str], content: Mapping[str, Any]) -> str:
    """Members of a sequence as a string of 0 and 1."""
    parts: list[str] = []
    digits = 0
    for member in members:
        if member[0] in REPETITIONS:
            entries = content.get(member[1:-1], ())
            parts.append(f"{len(entries):0{REPETITIONS[member[0]][2]}b}")
            parts += [_bits(SEQUENCES[member[1:-1]][1], entry) for entry in entries]
        elif member.startswith("207"):
            digits = int(member) % 1000
        elif member in SEQUENCES:
            parts.append(_bits(SEQUENCES[member][1], content))
        else:
            parts.append(_element(member, content.get(member), digits))
    return "".join(parts)


def _element(name: str, value: Any, digits: int) -> str:
    """An element, all ones if missing; operator 207 gives it more `digits`."""
    _, scale, reference, width, units = ELEMENTS[name]
    if units == "CCITT IA5":
        text = b"\xff" * 8 if value is None else value.ljust(8)
        return f"{int.from_bytes(text, 'big'):064b}"
    if digits:
        scale += digits
        reference *= 10**digits
        width += (10 * digits + 2) // 3
    if value is None or value != value:
        return "1" * width
    code = round(float(value) * 10**scale) - reference
    # all ones say that a value is missing; a quality mark of all ones is written as what it is
    all_ones = (1 << width) - 1
    largest = all_ones if units == "CODE TABLE" else all_ones - 1
    if not 0 <= code <= largest:
        raise ValueError(f"{name} of {value} does not fit into PrepBUFR")
    return f"{code:0{width}b}"


def _data_messages(encoded: Iterable[tuple[str, str]], cycle: datetime) -> Iterator[bytes]:
    """Messages of one category each, of reports in bits."""
    current = ""
    waiting: list[bytes] = []
    size = 0

    def message() -> bytes:
        number = SEQUENCES[current][0]
        descriptors = ("063000", number, "102000", "031001", "206001", "063255")
        return _message(int(number[3:]), cycle, descriptors, waiting)

    for category, bits in encoded:
        # what fills up the last byte is counted, and 8 bits say how much it is
        bits += f"{-len(bits) % 8:08b}" + "1" * (-len(bits) % 8)
        data = (2 + len(bits) // 8).to_bytes(2, "big") + int(bits, 2).to_bytes(len(bits) // 8, "big")
        if waiting and (category != current or size + len(data) > MESSAGE_BYTES):
            yield message()
            waiting = []
            size = 0
        current = category
        size += len(data)
        waiting.append(data)
    if waiting:
        yield message()


def _table_messages() -> Iterator[bytes]:
    """Tables A, B and D as characters; a message without entries ends them."""

    def signed(number: int, width: int) -> str:
        return f"{'-' if number < 0 else '+'}{abs(number):>{width}}"

    # each entry is numbered by a byte
    types = [f"{number[3:]}{name:<64}" for name, (number, _) in SEQUENCES.items() if name in CATEGORIES]
    elements = [
        f"{number}{name:<64}{units:<24}{signed(scale, 3)}{signed(reference, 10)}{width:>3}"
        for name, (number, scale, reference, width, units) in ELEMENTS.items()
    ]
    sequences = [(number, name, ["101000", FACTORS[bits]]) for number, name, bits in REPETITIONS.values()]
    for name, (number, members) in SEQUENCES.items():
        sequences.append((number, name, [number for member in members for number in _numbers(member)]))
    data = bytes([len(types)]) + "".join(types).encode()
    data += bytes([len(elements)]) + "".join(elements).encode() + bytes([len(sequences)])
    for number, name, members in sequences:
        data += f"{number}{name:<64}".encode() + bytes([len(members)]) + "".join(members).encode()
    descriptors = "103000 031001 000001 000002 000003 101000 031001 300004 105000 031001 300003 205064 101000 031001"
    for subsets in ([data], []):
        yield _message(11, None, [*descriptors.split(), "000030"], subsets)


def _numbers(member: str) -> list[str]:
    """Descriptors of a member of a sequence."""
    if member[0] in REPETITIONS:
        return [REPETITIONS[member[0]][0], SEQUENCES[member[1:-1]][0]]
    if member in SEQUENCES:
        return [SEQUENCES[member][0]]
    return [ELEMENTS[member].descriptor if member in ELEMENTS else member]


def _message(category: int, cycle: datetime | None, descriptors: Iterable[str], subsets: list[bytes]) -> bytes:
    """A message of edition 3 of NCEP, master table 29, local table 0."""
    date = (0, 0, 0, 0, 0, 0)
    if cycle is not None:
        century, year = divmod(cycle.year - 1, 100)
        date = (year + 1, cycle.month, cycle.day, cycle.hour, cycle.minute, century + 1)
    first = bytes([0, 0, 18, 0, 3, 7, 0, 0, category, 0, 29, 0, *date])
    packed = b"".join(
        (int(number[0]) << 14 | int(number[1:3]) << 8 | int(number[3:])).to_bytes(2, "big") for number in descriptors
    )
    third = (8 + len(packed)).to_bytes(3, "big") + b"\0" + len(subsets).to_bytes(2, "big") + b"\x80" + packed + b"\0"
    data = b"".join(subsets)
    data += bytes(len(data) % 2)  # sections of edition 3 have even lengths
    fourth = (4 + len(data)).to_bytes(3, "big") + b"\0" + data
    length = 8 + len(first) + len(third) + len(fourth) + 4
    return b"BUFR" + length.to_bytes(3, "big") + b"\3" + first + third + fourth + b"7777"
