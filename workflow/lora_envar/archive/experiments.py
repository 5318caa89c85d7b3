"""ERA5 and ERA5T, ECMWF's experiments 1 (final) and 5 (preliminary), and how they are merged into one field.

Files of the Climate Data Store that reach into the last two to three months hold both, each missing where the other is
(a dimension ``expver``), or name the one of each time (a coordinate); see "ERA5: How to handle expver",
https://confluence.ecmwf.int/pages/viewpage.action?pageId=173385064.
"""

from collections.abc import Hashable

import numpy as np
import xarray as xr

from .opening import EXPERIMENT
from .valid_times import describe_times

#: their numbers
FINAL = 1
PRELIMINARY = 5


def one_experiment(
    field: xr.DataArray, kinds: dict[Hashable, str | None], source: str, notes: list[str]
) -> tuple[xr.DataArray, int | str | None]:
    """Remove the axis of experiments from a field; return it with its experiment, if only that one is in it.

    Parameters
    ----------
    field : DataArray
        With a dimension time.
    kinds : dict
        Name of a dimension or coordinate -> what it is; ``experiment`` is looked for.
    notes : list
        Receives a line if preliminary data are used.

    Raises
    ------
    ValueError
        If it comes from several experiments other than these two.
    """
    axes = [axis for axis, kind in kinds.items() if kind == "experiment" and axis in field.coords]
    if not axes:
        number = _number(field.attrs.get(EXPERIMENT))
        if number == PRELIMINARY:
            notes.append(_note(source, field.time.values))
        return field, number
    axis = axes[0]
    numbers = [_number(value) for value in np.atleast_1d(field[axis].values)]
    if axis not in field.dims:
        if field[axis].dims == ("time",) and PRELIMINARY in numbers:
            notes.append(_note(source, field.time.values[np.array(numbers) == PRELIMINARY]))
        elif numbers == [PRELIMINARY]:
            notes.append(_note(source, field.time.values))
        return field.drop_vars([axis]), numbers[0] if len(set(numbers)) == 1 else None
    if len(numbers) == 1:
        if numbers[0] == PRELIMINARY:
            notes.append(_note(source, field.time.values))
        return field.isel({axis: 0}, drop=True), numbers[0]
    if sorted(map(str, numbers)) != [str(FINAL), str(PRELIMINARY)]:
        raise ValueError(
            f"{source}: {field.name} comes from the experiments {', '.join(map(str, field[axis].values))} ({axis}), "
            f"but only {FINAL} (ERA5) and {PRELIMINARY} (ERA5T) can be merged; keep one of them"
        )
    final = field.isel({axis: numbers.index(FINAL)}, drop=True)
    preliminary = field.isel({axis: numbers.index(PRELIMINARY)}, drop=True)
    return final_over_preliminary(final, preliminary, source, notes), None


def final_over_preliminary(
    final: xr.DataArray, preliminary: xr.DataArray, source: str, notes: list[str]
) -> xr.DataArray:
    """The values of `final`, or of `preliminary` where there are none; the times of the latter are noted."""
    merged = final.combine_first(preliminary).assign_attrs(final.attrs)
    others = [axis for axis in merged.dims if axis != "time"]
    held = final.reindex_like(merged).notnull().all(others)
    used = merged.time.values[~held.values]
    if len(used):
        notes.append(_note(source, used))
    else:
        notes.append(f"chosen: ERA5 (expver {FINAL}) over ERA5T (expver {PRELIMINARY}) in {source}")
    return merged


def _note(source: str, times: np.ndarray) -> str:
    return (
        f"preliminary: {source} has ERA5T (expver {PRELIMINARY}) at {describe_times(times)}, which ERA5 will replace "
        "later"
    )


def _number(experiment: object) -> int | str | None:
    """The number 1 for ``0001``, as files have it, or the name of another experiment."""
    text = str(experiment.decode() if isinstance(experiment, bytes) else experiment).strip()
    if experiment is None or text in ("", "nan"):
        return None
    return int(float(text)) if text.replace(".", "", 1).isdigit() else text
