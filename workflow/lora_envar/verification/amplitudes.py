"""The course of the amplitudes of experiments that calibrate themselves."""

from pathlib import Path

import pandas as pd

from ..analysis.amplitudes import read_amplitudes
from ..fields.timeline import parse

COLUMNS = ["experiment", "valid_time", "part", "variance", "information"]


def course(files: dict[str, list[str]]) -> pd.DataFrame:
    """The amplitudes, one row per experiment, cycle and part.

    Parameters
    ----------
    files : dict
        Experiment -> files of `write_amplitudes`, in folders named by their times.

    Returns
    -------
    DataFrame
        experiment, valid_time, part, variance (that the cycle used, over what was fitted), information (after it).
    """
    rows = [
        (experiment, f"{parse(Path(path).parent.name):%Y-%m-%dT%H}", part, amplitude.used, amplitude.information)
        for experiment, paths in files.items()
        for path in paths
        for part, amplitude in read_amplitudes(path).items()
    ]
    return pd.DataFrame(rows, columns=COLUMNS)
