"""Tables as CSV, read with a check that they are whole."""

from pathlib import Path

import pandas as pd


def read_table(path, **options) -> pd.DataFrame:
    """A CSV file that a rule has written, with options of `pandas.read_csv`.

    Raises
    ------
    ValueError
        If the file is not there, or ends within a line.
    """
    path = Path(path)
    if not path.exists():
        raise ValueError(f"{path}: no such file; run the rule that makes it")
    if not path.read_bytes().endswith(b"\n"):
        raise ValueError(f"{path}: ends within a line; remove it, and it is made again")
    return pd.read_csv(path, **options)
