"""Tables as CSV: written whole or not at all, read with a check that they are whole."""

from pathlib import Path
from typing import Any

import pandas as pd

from .atomic import atomic_write

#: significant digits of numbers in tables
DIGITS = 6


def write_table(path: str | Path, table: pd.DataFrame, digits: int = DIGITS) -> None:
    """Write a table without its index; numbers have so many significant digits."""
    with atomic_write(path) as temporary:
        table.to_csv(temporary, index=False, float_format=f"%.{digits}g")


def markdown_table(headers: list[str], rows: list[list[str]]) -> str:
    """Cells as a table of Markdown."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def read_table(path: str | Path, **options: Any) -> pd.DataFrame:
    """A CSV file that a rule has written, with options of `pandas.read_csv`.

    Raises
    ------
    ValueError
        If the file is not there, or ends within a line.
    """
    path = Path(path)
    if not path.exists():
        raise ValueError(f"{path} does not exist; run the rule that makes it")
    if not path.read_bytes().endswith(b"\n"):
        raise ValueError(f"{path} ends within a line; remove it and repeat the command")
    return pd.read_csv(path, **options)
