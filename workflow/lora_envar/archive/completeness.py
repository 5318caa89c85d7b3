"""What is missing in a dataset of a reanalysis: which channels, and at which times."""

from collections.abc import Iterable

import numpy as np
import xarray as xr

from ..fields.state import CHANNELS, LEVELS, NAMES, UPPER_AIR, VARIABLES
from . import valid_times
from .options import Options

#: how many different gaps a message describes
_GAPS_SHOWN = 4
#: how many notes on what was left out a message repeats
_NOTES_SHOWN = 4


class IncompleteError(ValueError):
    """The data lack something that the state needs."""


def absences(standard: xr.Dataset, derive: tuple[str, ...] = (), times: np.ndarray | None = None) -> np.ndarray:
    """Which channels are missing in a dataset, and at which times: booleans of shape (69, times).

    Parameters
    ----------
    standard : Dataset
        From `layout.standard_dataset`. It is read by variable and time, because all of it may not fit into memory.
    derive : tuple of str
        Surface variables that may be derived, and so do not count if they are missing altogether.
    times : array of datetime64, optional
        The times that are needed, in place of those of the dataset.
    """
    held = standard.time.values if standard.data_vars else np.array([], "datetime64[ns]")
    times = held if times is None else times
    absent = np.ones((len(CHANNELS), len(times)), bool)
    position = {time: index for index, time in enumerate(held)}
    first = 0
    for short in VARIABLES:
        rows = slice(first, first + (len(LEVELS) if short in UPPER_AIR else 1))
        first = rows.stop
        if short not in standard:
            absent[rows] = short not in derive
            continue
        for column, time in enumerate(times):
            if time in position:
                field = standard[short].isel(time=position[time])
                absent[rows, column] = field.isnull().all(("latitude", "longitude")).values
    return absent


def missing_channels(absent: np.ndarray) -> list[str]:
    """The channels that are missing at any time, from `absences`."""
    if not absent.shape[1]:
        return _names(np.ones(len(CHANNELS), bool))
    return _names(np.asarray(absent.any(axis=1)))


def _names(gone: np.ndarray) -> list[str]:
    """The names of marked channels: those of whole variables first, then those of single levels."""
    whole = {short for short in VARIABLES if all(gone[i] for i, c in enumerate(CHANNELS) if c.variable == short)}
    return [NAMES[i] for i in sorted(np.flatnonzero(gone), key=lambda i: CHANNELS[i].variable not in whole)]


def refuse_incomplete(
    standard: xr.Dataset, source: str, options: Options, notes: Iterable[str] = (), times: np.ndarray | None = None
) -> None:
    """Refuse a dataset in which something is missing, and name what is missing, and when.

    Parameters
    ----------
    standard : Dataset
        Of `layout.standard_dataset`.
    source : str
        For the message.
    options : Options
    notes : iterable of str
        From `layout.standard_dataset`; the message names what was left out.
    times : array of datetime64, optional
        The times that are needed, in place of those of the dataset.

    Raises
    ------
    IncompleteError
        If anything is missing.
    """
    absent = absences(standard, options.derive, times)
    if absent.shape[1] and not absent.any():
        return
    times = times if times is not None else standard.time.values if standard.data_vars else np.array([])
    has = ", ".join(map(str, standard.data_vars)) or "none of the state's variables"
    left_out = [note for note in notes if note.startswith("left out")]
    if len(left_out) > _NOTES_SHOWN:
        left_out[_NOTES_SHOWN:] = [f"left out: {len(left_out) - _NOTES_SHOWN} more"]
    always = absent.all(axis=1)
    advice = "Add the missing fields"
    if always.any() and not always.all():
        advice += ", or name in archive.derive the surface variables that may be derived"
        if not options.interpolate_levels:
            advice += ", or allow missing levels to be interpolated (interpolate_levels)"
    raise IncompleteError(
        f"{source}: fields are missing: {gaps(absent, times, options.derive)}; found: {'; '.join([has, *left_out])}. "
        f"{advice}"
    )


def gaps(absent: np.ndarray, times: np.ndarray, derive: tuple[str, ...] = ()) -> str:
    """Describe in words what is missing, and when.

    Parameters
    ----------
    absent : (69, times)
        From `absences`.
    times : (times,)
        datetime64.
    derive : tuple of str
        As of `absences`.

    Returns
    -------
    str
        As "t2m, q (all levels), z50; everything at 2022-01-01T06; z (all levels) at 2022-01-01T12".
    """
    always = np.asarray(absent.all(axis=1))
    if not len(times):
        return describe_channels(list(NAMES))
    needed = np.array([channel.variable not in derive for channel in CHANNELS])
    if always[needed].all():
        return f"everything at {valid_times.describe_times(times)}"
    parts = [describe_channels(_names(always))] if always.any() else []
    columns: dict[bytes, list[int]] = {}
    for column in range(len(times)):
        sometimes = absent[:, column] & ~always
        if sometimes.any():
            columns.setdefault(sometimes.tobytes(), []).append(column)
    for same in list(columns.values())[:_GAPS_SHOWN]:
        sometimes = absent[:, same[0]] & ~always
        if absent[needed, same[0]].all():
            words = "everything else" if always.any() else "everything"
        else:
            words = describe_channels(_names(sometimes))
        parts.append(f"{words} at {valid_times.describe_times(times[same])}")
    if len(columns) > _GAPS_SHOWN:
        parts.append(f"and other channels at {sum(map(len, list(columns.values())[_GAPS_SHOWN:]))} more times")
    return "; ".join(parts)


def describe_channels(channels: Iterable[str]) -> str:
    """Describe channels in words: a variable with all its levels is named once."""
    words = list(channels)
    for short in UPPER_AIR:
        names = [f"{short}{level}" for level in LEVELS]
        if set(names) <= set(words):
            words[words.index(names[0])] = f"{short} (all levels)"
            words = [name for name in words if name not in names]
    return ", ".join(words)
