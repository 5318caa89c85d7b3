"""Tables as CSV: written completely or not at all, and read with a check that they are complete."""

from pathlib import Path
from typing import Any

import pandas as pd

from .atomic import atomic_write

#: significant digits of numbers in tables
DIGITS = 6


def write_table(path: str | Path, table: pd.DataFrame, digits: int = DIGITS) -> None:
    """Write a table without its index, with a given number of significant digits."""
    with atomic_write(path) as temporary:
        table.to_csv(temporary, index=False, float_format=f"%.{digits}g")


def markdown_table(headers: list[str], rows: list[list[str]]) -> str:
    """Format cells as a table in Markdown."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def read_table(path: str | Path, **options: Any) -> pd.DataFrame:
    """Read a CSV file that a rule has written, with options of `pandas.read_csv`.

    Raises
    ------
    ValueError
        If the file is missing, or ends within a line.
    """
    path = Path(path)
    if not path.exists():
        raise ValueError(f"{path} does not exist; run the rule that makes it")
    if not path.read_bytes().endswith(b"\n"):
        raise ValueError(f"{path} ends within a line; remove it and repeat the command")
    return pd.read_csv(path, **options)
