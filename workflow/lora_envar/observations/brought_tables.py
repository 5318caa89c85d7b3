"""Tables of observations that a user brings, one row per datum: CSV, Parquet, IODA files or radio occultations.

The columns are those of `brought_columns`. Others are left aside, and named in the log; one that is spelled almost as
one of these is refused.
"""

import difflib
import warnings
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from ..fields.timeline import hours_since_1970
from ..files.kinds import BUFR, CSV, NETCDF4, PARQUET, TEXT, kind_of
from .brought_columns import OPTIONAL, REQUIRED, TEXTS, FilePath, checked
from .error_table import ErrorTable
from .ioda_tables import is_ioda, read_ioda
from .limits import implausible
from .network import CYCLE_HOURS
from .occultations import read_occultations
from .standard_atmosphere import standard_pressure
from .table import Observations, concatenate

#: kinds of files, in the words of `kind_of`, that are read
CSV_KINDS = (CSV, TEXT)

#: similarity from which a name counts as a misspelled one
_MISSPELLED = 0.8


def read_tables(
    paths: Sequence[FilePath],
    errors: ErrorTable,
    cycle: datetime | None = None,
    half_window: float = CYCLE_HOURS / 2,
    progress: Callable[[str], None] = print,
) -> Observations:
    """Read the data of tables, valid at a cycle and `time_offset` after it.

    Parameters
    ----------
    paths : sequence of paths
        CSV, Parquet, IODA or radio occultations in BUFR, recognised by their content.
    errors : ErrorTable
        Errors for data that have none of their own.
    cycle : datetime, optional
        Take what was measured from `half_window` hours before it to less than that after it. None takes everything,
        each datum at the nearest cycle of 6 h.

    Raises
    ------
    ValueError
        If a file is no table, or a column is missing or holds what it cannot hold; if all data are of before or after
        the cycle. The message names file, column and row.
    """
    frames = {path: checked(path, _contents(path, progress)) for path in paths}
    parts = []
    for path, frame in frames.items():
        if cycle is None:
            nominal = np.floor(frame.hours / CYCLE_HOURS + 0.5) * CYCLE_HOURS
        else:
            nominal = pd.Series(float(hours_since_1970(cycle)), frame.index)
        offset = frame.hours - nominal
        inside = (offset >= -half_window) & (offset < half_window)
        parts.append(_observations(path, frame[inside], nominal[inside], errors))
    table = concatenate(parts)
    if not len(table):
        _say_that_there_are_none(frames, cycle, half_window, progress)
    return table


def _say_that_there_are_none(
    frames: dict[FilePath, pd.DataFrame],
    cycle: datetime | None,
    half_window: float,
    progress: Callable[[str], None],
) -> None:
    """Refuse tables of another time; a gap between their data, or a table without rows, is allowed."""
    hours = np.concatenate([frame.hours for frame in frames.values()])
    names = ", ".join(str(path) for path in frames)
    if not len(hours) or cycle is None:
        raise ValueError(f"{names}: there are no rows; give tables that have data")
    first = _time(hours.min())
    last = _time(hours.max())
    said = f"{names}: column time: none of {len(hours)} rows is within {half_window:g} h of {cycle:%Y-%m-%dT%H} UTC"
    if not hours.min() < hours_since_1970(cycle) < hours.max():
        raise ValueError(f"{said}; they are from {first} to {last}; give the tables of this time")
    progress(f"warning: {said}, although they are from {first} to {last}")


def _time(hours: float) -> str:
    return f"{pd.Timestamp(0) + pd.Timedelta(hours=hours):%Y-%m-%dT%H:%M}"


def _contents(path: FilePath, progress: Callable[[str], None]) -> pd.DataFrame:
    """The known columns of a file, unchanged."""
    try:
        kind, advice = kind_of(path)
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}); check the path") from error
    if kind == PARQUET:
        frame = _parquet(path)
    elif kind in CSV_KINDS:
        frame = _csv(path)
    elif kind == NETCDF4 and is_ioda(path):
        frame = read_ioda(path, progress)
    elif kind == BUFR:
        frame = read_occultations(path, progress)
    else:
        what = "and neither a table in CSV or Parquet nor a file in IODA or BUFR"
        raise ValueError(f"{path} is {kind}, {what}; {advice or 'check the path'}")
    frame = frame.rename(columns=lambda name: str(name).strip())
    known = (*REQUIRED, *OPTIONAL)
    others = [name for name in frame if name not in known]
    for name in others:
        close = difflib.get_close_matches(name.lower(), known, 1, _MISSPELLED)
        if close:
            raise ValueError(f"{path}: column {name} is unknown; did you mean {close[0]}?")
    missing = [name for name in REQUIRED if name not in frame]
    if missing:
        raise ValueError(f"{path} has no column {', '.join(missing)}; it has {', '.join(map(str, frame))}")
    if others:
        progress(f"{path}: the columns {', '.join(others)} are ignored")
    return frame[[name for name in known if name in frame]].reset_index(drop=True)


def _csv(path: FilePath) -> pd.DataFrame:
    """Read a table of comma-separated values; texts are not converted to numbers."""
    texts = dict.fromkeys(TEXTS, str)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the line of names
            return pd.read_csv(
                path, dtype=texts, encoding="utf-8-sig", skipinitialspace=True, index_col=False, low_memory=False
            )
    except (pd.errors.ParserError, pd.errors.ParserWarning, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read as CSV ({' '.join(str(error).split())}); correct the file") from error


def _parquet(path: FilePath) -> pd.DataFrame:
    import pyarrow
    import pyarrow.parquet

    try:
        return pyarrow.parquet.read_table(path).to_pandas(ignore_metadata=True)
    except (pyarrow.ArrowException, OSError) as error:
        raise ValueError(f"{path} cannot be read as Parquet ({error}); it may be incomplete: get it again") from error


def _observations(path: FilePath, frame: pd.DataFrame, nominal: pd.Series, errors: ErrorTable) -> Observations:
    """Turn the rows of a checked table into data that are valid at nominal times, in hours since 1970."""
    by_height = frame.height.notna()
    pressure = frame.pressure.where(~by_height, standard_pressure(frame.height.to_numpy()))
    columns: dict[str, Any] = {
        name: frame[name].to_numpy()
        for name in ("variable", "value", "height", "latitude", "longitude", "elevation", "station")
    }
    given = frame.error.to_numpy()
    try:
        modelled = np.where(np.isnan(given), _modelled(frame, pressure, errors), given)
    except ValueError as error:
        raise ValueError(f"{path}: column error: {error}") from None
    table = Observations.build(
        pressure=pressure.to_numpy(),
        error=modelled,
        time=nominal.to_numpy(),
        time_offset=(frame.hours - nominal).to_numpy(),
        report_type=frame.type.to_numpy(),
        quality=frame.quality.to_numpy(),
        **columns,
    )
    wrong = implausible(vars(table), table.rejection == 0)
    if wrong:
        raise ValueError(f"{path}: {wrong}; correct such rows, or leave them out")
    return table


def _modelled(frame: pd.DataFrame, pressure: pd.Series, errors: ErrorTable) -> np.ndarray:
    """Errors for data without one of their own, (rows,); NaN elsewhere."""
    found = np.full(len(frame), np.nan)
    without = frame.error.isna().to_numpy()
    rows = frame[without]
    found[without] = errors(rows.variable.to_numpy(), pressure[without].to_numpy(), rows.value.to_numpy())
    return found
