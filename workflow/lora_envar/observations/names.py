"""Names of stations: eight bytes that every program can read as text."""

from collections.abc import Sequence

import numpy as np

#: stands for a byte that is no printable character of ASCII
REPLACEMENT = ord("?")


def as_names(texts: Sequence[str]) -> np.ndarray:
    """Turn names that a user wrote into those of reports, (names,) array of S8.

    Raises
    ------
    ValueError
        If a name has more than eight characters, because the rest could be the name of another station.
    """
    long = [text for text in texts if len(text) > 8]
    if long:
        raise ValueError(f"names of stations may have at most eight characters; {', '.join(long)} has more")
    return printable_names(np.array([text.encode("ascii", "replace") for text in texts], dtype="S8"))


def printable_names(names: np.ndarray) -> np.ndarray:
    """Names with a question mark for every byte that is not printable ASCII, and without trailing blanks.

    A station must not lose its data because of one byte that is damaged or of another alphabet.

    Parameters
    ----------
    names : (rows,) array of S8

    Returns
    -------
    (rows,) array of S8
    """
    names = np.ascontiguousarray(names, dtype="S8")
    codes = names.view(np.uint8).reshape(len(names), 8).copy()
    # zeros behind a name fill it up; one within it is replaced
    filling = np.cumsum(codes[:, ::-1], axis=1, dtype=int)[:, ::-1] == 0
    codes[((codes < 32) | (codes > 126)) & ~filling] = REPLACEMENT
    return np.char.rstrip(codes.view("S8").ravel())
