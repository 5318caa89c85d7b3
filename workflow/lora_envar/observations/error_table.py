"""Standard deviations of observation errors for data without one: from a table, or from their types."""

from os import PathLike

import numpy as np
import pandas as pd

from .catalogue import CODES, TYPES, types_among
from .observation_type import StateVariable

_COLUMNS = ("variable", "pressure", "error")


class ErrorTable:
    """Standard deviations of observation errors, by variable and pressure, linear in log pressure.

    Types that are not in the table use their own error model; the variables of the state have no such model.

    Parameters
    ----------
    path : path or None
        CSV with the columns variable, pressure (hPa, empty at the surface) and error (units of the type). None knows
        nothing but the models of the types.

    Raises
    ------
    ValueError
        If a column or a variable of the state is missing, a type is unknown, or an error is not positive.
    """

    def __init__(self, path: str | PathLike[str] | None) -> None:
        self._by_code: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        if path is None:
            return
        table = pd.read_csv(path)
        missing = [name for name in _COLUMNS if name not in table]
        if missing:
            raise ValueError(f"{path} has no column {', '.join(missing)}; it has {', '.join(table)}")
        needed = [name for name, kind in TYPES.items() if isinstance(kind, StateVariable)]
        missing = sorted(set(needed) - set(table.variable))
        if missing:
            raise ValueError(f"{path} has no errors for {', '.join(missing)}; add them")
        unknown = sorted(set(table.variable.astype(str)) - set(TYPES))
        if unknown:
            raise ValueError(
                f"{path} has errors for {', '.join(unknown)}, which are unknown types of observations; known: "
                f"{', '.join(TYPES)}"
            )
        if not (table.error > 0).all():
            raise ValueError(f"{path}: the column error has a value that is not positive; correct it")
        for name, rows in table.sort_values("pressure").groupby("variable"):
            depth = np.log(rows.pressure.fillna(1000.0).to_numpy())
            self._by_code[CODES[str(name)]] = depth, rows.error.to_numpy()

    def __call__(self, variable: np.ndarray, pressure: np.ndarray, value: np.ndarray) -> np.ndarray:
        """The errors of data, (rows,) of float64.

        Parameters
        ----------
        variable : (rows,) array of int
            Codes of types.
        pressure : (rows,) array
            In hPa, not a number at the surface.
        value : (rows,) array
            In the units of the types.

        Raises
        ------
        ValueError
            If a type is not in the table and has no error of its own.
        """
        depth = np.log(np.where(np.isfinite(pressure), pressure, 1000.0).astype(float))
        errors = np.empty(len(variable))
        for kind in types_among(variable):
            rows = variable == kind.code
            if kind.code in self._by_code:
                errors[rows] = np.interp(depth[rows], *self._by_code[kind.code])
            else:
                errors[rows] = kind.error(pressure[rows].astype(float), value[rows].astype(float))
        return errors
