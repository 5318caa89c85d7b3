"""Profiles of GNSS radio occultation in BUFR, as tables with one row per datum of refractivity.

Read are messages of WMO's template 3 10 026, of any edition, as the ROM SAF, CDAAC and the Global Telecommunication
System have them, and NCEP's `gpsro` files (message type NC003010), which bring their own tables with them. Both hold
the same elements in the same order, and are known by these. Of a profile's sections that of refractivity is used;
bending angles and retrieved temperatures are not.

A level lies at its geometric height above the mean sea level, at the tangent point that the section of bending angles
has for it if both sections have as many levels, as in GSI (`read_gps.f90`), and else at the place of the profile. Its
time is that of the profile. Errors in the messages are not taken: they are missing below 20 km in some centres' files
and know nothing of representativeness, and GSI and JEDI use models of the error in their place.

Quality marks come of the flags of the profile (0 33 039, whose first bit is the most significant of 16) and of the
confidences (0 33 007) of profile and level:

* refractivity that is not nominal (bit 6), or a confidence of 0 %: `REJECTED`
* a profile, or its excess phases or bending angles, that is not nominal (bits 1, 4 and 5): `SUSPECT`
* anything else, as whether the occultation ascends (bit 3): `NOT_CHECKED`

GSI rejects for bit 6, ioda-converters (`gnssro_bufr2ioda.f90`) for bits 5 and 6 and for confidences of 0 %.

Reference: D. Offiler, WMO FM94 (BUFR) specification for radio occultation data, SAF/GRAS/METO/FMT/BUFR/001 (2011).
"""

import mmap
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd
from pybufrkit.decoder import Decoder

from .bufr import TABLES_CATEGORY, PrepBufrError, Tables, message_bounds, open_file
from .catalogue import CODES, TYPES
from .heights import geopotential_height
from .limits import outside_of_limits
from .standard_atmosphere import standard_pressure

#: category of soundings by satellites, whichever wrapper they come in; those of PrepBUFR are above 100
SOUNDINGS_CATEGORY = 3

#: descriptors of elements; the first of each in a profile is that of its header
SATELLITE = 1007
TRANSMITTER = 1050
CONSTELLATION = 2020
DATE = (4001, 4002, 4003, 4004, 4005)  # to the minute
SECOND = 4006
LATITUDE = 5001
LONGITUDE = 6001
FLAGS = 33039
CONFIDENCE = 33007
#: a level of refractivity: height (m), refractivity, kind of statistics, error, kind of statistics, confidence (%)
REFRACTIVITY_LEVEL = (7007, 15036, 8023, 15036, 8023, CONFIDENCE)
#: the beginning of a level of bending angles: tangent point, azimuth, number of frequencies
BENDING_LEVEL = (LATITUDE, LONGITUDE, 5021, 31001)

#: NCEP's quality marks
REJECTED = 15
SUSPECT = 3
NOT_CHECKED = 2
#: bits of the flags
NOT_NOMINAL = 1
PHASE_NOT_NOMINAL = 4
BENDING_NOT_NOMINAL = 5
REFRACTIVITY_NOT_NOMINAL = 6

#: above the highest level of any state, 50 hPa, which lies below 21.5 km; far above it, noise exceeds all limits
HIGHEST = 30e3  # m
#: below the Dead Sea
LOWEST = -500.0  # m
#: code of a constellation -> its letter in names of satellites (RINEX)
_LETTERS = {401: "G", 402: "R", 403: "E", 404: "C", 405: "J"}


def is_occultations(path: str | PathLike[str]) -> bool:
    """Whether a BUFR file has soundings by satellites; a damaged file does not count."""
    try:
        data = open_file(path)
        for start, end in message_bounds(path, data):
            category, subsets = _category(path, data, start, end)
            if category != TABLES_CATEGORY and subsets:
                return category == SOUNDINGS_CATEGORY
    except PrepBufrError:
        return False
    return False


def read_occultations(path: str | PathLike[str], progress: Callable[[str], None] = print) -> pd.DataFrame:
    """Read the refractivity of all profiles of a file into the columns of `brought_columns`.

    The name of a profile's station is its transmitter and its second of the day, as `G0543200`; its type, as in GSI,
    the number of the receiving satellite (0 01 007). pybufrkit takes about a tenth of a second for a profile.

    Parameters
    ----------
    path : path
    progress : callable
        Receives a line about what was found, and what of it is ignored.

    Raises
    ------
    ValueError
        If the file is damaged or truncated, or has no radio occultations, or none with refractivity; the message names
        it.
    """
    data = open_file(path)
    tables = Tables(path)
    messages = []
    for start, end in message_bounds(path, data):
        category, subsets = _category(path, data, start, end)
        if category != TABLES_CATEGORY and subsets:
            messages.append((start, end))
        elif subsets:
            tables.add(data, start, end)
    parts = []
    count = 0
    with tables.in_force():
        for descriptors, values in _profiles(path, data, messages):
            count += 1
            profile = _profile(descriptors, values)
            if len(profile):
                parts.append(profile)
    if not parts:
        raise ValueError(
            f"{path}: none of {count} radio occultations has refractivity with its place and time; give files with "
            "refractivity (level 2), because bending angles alone are not read"
        )
    frame = pd.concat(parts, ignore_index=True)
    pressure = standard_pressure(frame.height.to_numpy())
    codes = np.full(len(frame), CODES["refractivity"])
    impossible = outside_of_limits(codes, frame.value.to_numpy(), pressure, TYPES["refractivity"].margin)
    progress(
        f"{path}: {len(parts)} of {count} radio occultations have refractivity below {HIGHEST / 1e3:g} km, on "
        f"{len(frame)} levels; {int(impossible.sum())} of these have impossible values and are ignored"
    )
    return frame[~impossible]


def _category(path: str | PathLike[str], data: mmap.mmap, start: int, end: int) -> tuple[int, int]:
    """Category of a message, and the number of its subsets."""
    try:
        header = Decoder().process(data[start:end], start_signature=None, info_only=True)
        return header.data_category.value, header.n_subsets.value
    except Exception as error:  # pybufrkit raises errors of many kinds
        raise PrepBufrError(
            f"{path} is damaged: the header of the message at byte {start} cannot be read ({error}); get it again"
        ) from error


def _profiles(
    path: str | PathLike[str], data: mmap.mmap, messages: Sequence[tuple[int, int]]
) -> Iterator[tuple[list[int], list[Any]]]:
    """Descriptors of the elements of each profile, and their values, None where they are missing."""
    decoder = Decoder(compiled_template_cache_max=32)
    for start, end in messages:
        try:
            decoded = decoder.process(data[start:end], start_signature=None, wire_template_data=False)
        except Exception as error:  # pybufrkit raises errors of many kinds
            raise PrepBufrError(
                f"{path}: the message at byte {start} cannot be decoded ({error}); if the file is not damaged, its "
                "template is defined neither by WMO's tables nor by its own: give the file as the centre wrote it"
            ) from error
        content = decoded.template_data.value
        for elements, values in zip(
            content.decoded_descriptors_all_subsets, content.decoded_values_all_subsets, strict=True
        ):
            descriptors = [element.id for element in elements]
            if FLAGS not in descriptors:
                template = " ".join(f"{number:06d}" for number in decoded.unexpanded_descriptors.value)
                raise PrepBufrError(
                    f"{path}: the message at byte {start} is not a radio occultation, but has the template {template}; "
                    "give files of WMO's template 310026, or NCEP's gpsro files"
                )
            yield descriptors, values


def _profile(descriptors: Sequence[int], values: Sequence[Any]) -> pd.DataFrame:
    """A row per level of refractivity, but for levels without a place; no rows if the profile has no time."""
    header = dict(zip(reversed(descriptors), reversed(values), strict=True))
    time = _time(header)
    level = _starts(descriptors, REFRACTIVITY_LEVEL)
    if time is None or not len(level):
        return pd.DataFrame()

    def column(first: np.ndarray, offset: int) -> np.ndarray:
        return np.array([values[index + offset] for index in first], dtype=float)

    latitude = np.full(len(level), header.get(LATITUDE), dtype=float)
    longitude = np.full(len(level), header.get(LONGITUDE), dtype=float)
    bending = _starts(descriptors, BENDING_LEVEL)
    if len(bending) == len(level):
        tangent = column(bending, 0)
        along = column(bending, 1)
        known = np.isfinite(tangent) & np.isfinite(along)
        latitude = np.where(known, tangent, latitude)
        longitude = np.where(known, along, longitude)
    height = column(level, 0)
    value = column(level, 1)
    mark = _mark(header)
    frame = pd.DataFrame(
        {
            "variable": "refractivity",
            "value": value,
            "latitude": latitude,
            "longitude": longitude,
            "time": f"{time:%Y-%m-%dT%H:%M:%S.%f}",
            "height": geopotential_height(height, latitude),
            "station": _station(header, time),
            "type": header.get(SATELLITE) or 0,
            "quality": np.where(column(level, 5) == 0.0, REJECTED, mark),
        }
    )
    placed = np.isfinite(latitude) & np.isfinite(longitude) & (height >= LOWEST) & (height <= HIGHEST)
    return frame[np.isfinite(value) & placed]


def _starts(descriptors: Sequence[int], wanted: Sequence[int]) -> np.ndarray:
    """Positions at which the wanted sequence of descriptors begins."""
    windows = np.lib.stride_tricks.sliding_window_view(np.asarray(descriptors), len(wanted))
    return np.flatnonzero((windows == wanted).all(axis=1))


def _time(header: Mapping[int, Any]) -> datetime | None:
    """Time of a profile; None if it is missing or impossible."""
    date = [header[number] for number in DATE if header.get(number) is not None]
    if len(date) < len(DATE):
        return None
    try:
        return datetime(*date) + timedelta(seconds=header.get(SECOND) or 0.0)
    except ValueError:
        return None


def _mark(header: Mapping[int, Any]) -> int:
    """Quality mark of a profile; missing flags are ignored."""
    flags = header.get(FLAGS) or 0

    def raised(bit: int) -> bool:
        return bool(flags & 1 << 16 - bit)

    if raised(REFRACTIVITY_NOT_NOMINAL) or header.get(CONFIDENCE) == 0:
        return REJECTED
    if raised(NOT_NOMINAL) or raised(PHASE_NOT_NOMINAL) or raised(BENDING_NOT_NOMINAL):
        return SUSPECT
    return NOT_CHECKED


def _station(header: Mapping[int, Any], time: datetime) -> str:
    """A name of eight characters that two profiles of a day are unlikely to share."""
    letter = _LETTERS.get(header.get(CONSTELLATION) or 0, "X")
    second = time.hour * 3600 + time.minute * 60 + time.second
    return f"{letter}{(header.get(TRANSMITTER) or 0) % 100:02d}{second:05d}"
