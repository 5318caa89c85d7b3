"""Valid times of a field, from all forms in which files give them: valid times, or base times and lead times."""

from collections.abc import Hashable
from datetime import UTC, datetime

import numpy as np
import xarray as xr

#: unit of a lead time -> nanoseconds
_NANOSECONDS = {
    "ns": 1,
    "nanosecond": 1,
    "us": 10**3,
    "microsecond": 10**3,
    "ms": 10**6,
    "millisecond": 10**6,
    "s": 10**9,
    "sec": 10**9,
    "second": 10**9,
    "min": 60 * 10**9,
    "minute": 60 * 10**9,
    "h": 3600 * 10**9,
    "hr": 3600 * 10**9,
    "hour": 3600 * 10**9,
    "d": 86400 * 10**9,
    "day": 86400 * 10**9,
}
#: names of coordinates that count hours or days, and not from a base time
_OF_THE_CALENDAR = ("hour", "hour_of_day", "day", "dayofyear", "day_of_year", "minute", "second")


def lead_unit(units: object) -> int | None:
    """Nanoseconds in a unit of time such as ``hours``, or None for anything else, including "hours since" a date."""
    text = str(units or "").strip().lower()
    return _NANOSECONDS.get(text, _NANOSECONDS.get(text.removesuffix("s")))


def is_lead(coordinate: xr.DataArray) -> bool:
    """Whether a coordinate of an unknown name counts time from a base time, by its type or standard name."""
    is_duration = np.issubdtype(coordinate.dtype, np.timedelta64)
    return is_duration or coordinate.attrs.get("standard_name") == "forecast_period"


def may_be_lead(coordinate: xr.DataArray) -> bool:
    """Whether a coordinate of an unknown name may be a lead time by its units, and is not, say, the hour of the day."""
    return str(coordinate.name) not in _OF_THE_CALENDAR and lead_unit(coordinate.attrs.get("units")) is not None


def to_minutes(times: np.ndarray) -> np.ndarray:
    """Round times (datetime64) to the nearest minute, because hours and days in floating point are not exact."""
    nanoseconds = times.astype("datetime64[ns]")
    return (nanoseconds + np.timedelta64(30, "s")).astype("datetime64[m]").astype("datetime64[ns]")


def describe_times(times: np.ndarray) -> str:
    """Describe times (datetime64) in words: at most four of them, with the number of the others and the last one."""
    shown = [f"{time.astype('datetime64[m]')}".removesuffix(":00") for time in times]
    if len(shown) <= 4:
        return ", ".join(shown)
    return f"{', '.join(shown[:3])} and {len(shown) - 3} more up to {shown[-1]}"


def whole_hours(times: np.ndarray, source: str) -> list[datetime]:
    """Times (datetime64) of states in UTC.

    Raises
    ------
    ValueError
        If any is not a whole hour.
    """
    odd = times[times != times.astype("datetime64[h]")]
    if len(odd):
        raise ValueError(
            f"{source} has fields valid at {describe_times(odd)}, but states must be valid at whole hours; give files "
            "that have only these"
        )
    return [datetime.fromtimestamp(int(hour) * 3600, UTC) for hour in times.astype("datetime64[h]").astype(int)]


def on_valid_times(field: xr.DataArray, kinds: dict[Hashable, str | None], source: str) -> xr.DataArray:
    """The field with one dimension time, of ascending valid times, rounded to minutes.

    Parameters
    ----------
    field : DataArray
    kinds : dict
        Name of a dimension or coordinate -> what it is: ``time``, ``base`` (time), ``step`` or ``duration`` (of time,
        and of an unknown name) among others.
    source : str
        For messages.

    Raises
    ------
    ValueError
        If times cannot be read as dates, leads not as durations; if it is not clear whether a time is the base or the
        valid time; if values are valid at the same time.
    """
    kinds = _with_durations(field, kinds, source)
    valid = _valid(field, kinds, source)
    drop = [axis for axis, kind in kinds.items() if kind in ("time", "base", "step") and axis in field.coords]
    axes = valid.dims
    values = to_minutes(valid.values.ravel())
    field = field.drop_vars(drop)
    if len(axes) == 1:
        field = field.rename({axes[0]: "time"}) if axes[0] != "time" else field
    elif axes:
        field = field.stack(valid_=axes, create_index=False).rename(valid_="time")
    else:
        field = field.expand_dims("time")
    field = field.assign_coords(time=values)
    if len(np.unique(values)) < len(values):
        # a table of base times and steps has holes where a step is not of every base time
        field = field.isel(time=field.notnull().any([axis for axis in field.dims if axis != "time"]).values)
        values, counts = np.unique(field.time.values, return_counts=True)
        if (counts > 1).any():
            raise ValueError(
                f"{source}: {field.name} has several values that are valid at the same time "
                f"({describe_times(values[counts > 1])}); keep one forecast for each valid time"
            )
    values = field.time.values
    return field if (values[1:] > values[:-1]).all() else field.sortby("time")


def _with_durations(field: xr.DataArray, kinds: dict[Hashable, str | None], source: str) -> dict[Hashable, str | None]:
    """The kinds, in which a duration on an axis of its own is a lead time; any other duration must be 0."""
    kinds = dict(kinds)
    if "step" in kinds.values() or "valid_time" in kinds:
        return kinds
    for axis in [axis for axis, kind in kinds.items() if kind == "duration" and axis in field.coords]:
        if axis in field.dims:
            kinds[axis] = "step"
        elif (field[axis].values != 0).any():
            raise ValueError(
                f"{source}: {field.name} has a coordinate {axis} ({field[axis].values.ravel()[0]} "
                f"{field[axis].attrs['units']}), which may or may not be the lead time of a forecast; rename it to "
                "step, or remove it"
            )
    return kinds


def _valid(field: xr.DataArray, kinds: dict[Hashable, str | None], source: str) -> xr.DataArray:
    """Valid times of a field, along the dimensions on which they depend."""
    stamps = _coordinates_of(field, kinds, "time")
    bases = _coordinates_of(field, kinds, "base")
    leads = _coordinates_of(field, kinds, "step")
    if "valid_time" in stamps:
        return _dates(field["valid_time"], field.name, source)
    loose = [axis for axis, kind in kinds.items() if kind == "step" and axis not in field.coords]
    if loose:
        raise ValueError(
            f"{source}: the dimension {loose[0]} of {field.name} has no values, so its valid times are unknown; give "
            "the file a coordinate valid_time"
        )
    if not leads:
        if stamps:
            return _dates(field[stamps[0]], field.name, source)
        raise ValueError(
            f"{source}: {field.name} has a base time ({bases[0]}) but no lead time, so its valid times are unknown; "
            "give the file a coordinate step (with units of hours) or valid_time"
        )
    lead = _durations(field[leads[0]], field.name, source)
    if bases and stamps:
        return _dates(field[stamps[0]], field.name, source)  # as CF has it: time is the valid time
    base = field[(bases or stamps)[0]]
    # by CF `time` is the valid time, and files of forecasts often have the base time there: by a lead on an axis of its
    # own it can only be that
    unclear = not bases and base.attrs.get("standard_name") == "time" and set(lead.dims) <= set(base.dims)
    if unclear and (lead.values != np.timedelta64(0)).any():
        raise ValueError(
            f"{source}: {field.name} has lead times ({leads[0]}) that are not 0 and a coordinate {base.name} with the "
            "standard name time, which may be the base time or the valid time; rename it to forecast_reference_time "
            "or valid_time"
        )
    return _dates(base, field.name, source) + lead


def _coordinates_of(field: xr.DataArray, kinds: dict[Hashable, str | None], wanted: str) -> list[Hashable]:
    """Names of a field's coordinates of a kind."""
    return [axis for axis, kind in kinds.items() if kind == wanted and axis in field.coords]


def _dates(times: xr.DataArray, name: Hashable, source: str) -> xr.DataArray:
    """Times as datetime64[ns], if they are dates and none is missing."""
    if not np.issubdtype(times.dtype, np.datetime64):
        raise ValueError(
            f"{source}: the times of {name} ({times.name}: {times.values.ravel()[:1]}) cannot be read as dates; give "
            "them units such as hours since 1900-01-01"
        )
    if times.isnull().any():
        raise ValueError(f"{source}: some times of {name} ({times.name}) are missing; leave these fields out")
    return times.astype("datetime64[ns]")


def _durations(leads: xr.DataArray, name: Hashable, source: str) -> xr.DataArray:
    """Lead times as timedelta64[ns], given as such or as numbers with units."""
    if np.issubdtype(leads.dtype, np.timedelta64):
        durations = leads.astype("timedelta64[ns]")
    else:
        unit = lead_unit(leads.attrs.get("units"))
        if unit is None or not np.issubdtype(leads.dtype, np.number) or not np.isfinite(leads.values).all():
            raise ValueError(
                f"{source}: the lead times of {name} ({leads.name}: {leads.values.ravel()[:1]}, units "
                f"{leads.attrs.get('units')!r}) cannot be read; give them units of hours, minutes, days or seconds"
            )
        # whole nanoseconds of integers; floating-point hours are rounded to minutes with the valid time
        values = leads.values.astype(np.int64 if np.issubdtype(leads.dtype, np.integer) else float) * unit
        durations = leads.copy(data=np.asarray(values).astype(np.int64).astype("timedelta64[ns]"))
    if np.isnat(durations.values).any():
        raise ValueError(f"{source}: some lead times of {name} ({leads.name}) are missing; leave these fields out")
    return durations.drop_attrs()
