"""Names of stations: eight bytes that every program reads as text."""

import numpy as np

#: stands for a byte that is no printable character of ASCII
REPLACEMENT = ord("?")


def printable_names(names: np.ndarray) -> np.ndarray:
    """Names with a question mark for every byte that is not printable ASCII, and without trailing blanks.

    One byte that is damaged, or of another alphabet, must not cost the data of its station.

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
