"""From the axes of a field in its file to those of the state: valid times, pressure levels, and the whole globe."""

from collections.abc import Hashable

import numpy as np
import xarray as xr

from ..fields.state import LEVELS
from .experiments import one_experiment
from .options import Options
from .valid_times import is_lead, may_be_lead, on_valid_times

#: axis -> names it has in files; a number at the end does not count ("isobaric3")
AXES = {
    "time": ("valid_time", "time"),
    "base": (
        "forecast_reference_time",
        "reference_time",
        "reftime",
        "base_time",
        "init_time",
        "initial_time",
        "initial_time0_hours",
        "forecast_initial_time",
    ),
    "step": (
        "step",
        "prediction_timedelta",
        "forecast_period",
        "forecast_time",
        "forecast_hour",
        "forecastHour",
        "leadtime",
        "lead_time",
        "lead",
        "fhour",
    ),
    "experiment": ("expver",),
    "member": ("number", "member", "realization", "ensemble", "ens"),
    "level": (
        "level",
        "pressure_level",
        "isobaricInhPa",
        "isobaricInPa",
        "plev",
        "isobaric",
        "lev",
        "pressure",
        "air_pressure",
        "lv_ISBL0",
    ),
    "latitude": ("latitude", "lat", "g0_lat_1", "lat_0"),
    "longitude": ("longitude", "lon", "g0_lon_2", "lon_0"),
}


def _axis(name: str, coordinate: xr.DataArray) -> str | None:
    """The axis that a dimension or coordinate is, judged by its name or, failing that, by its attributes."""
    attributes = coordinate.attrs
    standard_name = attributes.get("standard_name")
    if standard_name == "forecast_reference_time":
        return "base"
    for axis, names in AXES.items():
        if name in names or name.rstrip("0123456789") in names:
            return axis
    units = str(attributes.get("units", "")).lower()
    if standard_name == "latitude" or units in ("degrees_north", "degree_north"):
        return "latitude"
    if standard_name == "longitude" or units in ("degrees_east", "degree_east"):
        return "longitude"
    if is_lead(coordinate):
        return "step"
    by_standard_name = {"air_pressure": "level", "time": "time", "realization": "member"}.get(str(standard_name))
    return by_standard_name or ("duration" if may_be_lead(coordinate) else None)


def with_coordinates(dataset: xr.Dataset) -> xr.Dataset:
    """The dataset with times, leads, members and experiments as coordinates, which they are not in many files."""
    named = {name for kind in ("time", "base", "step", "member", "experiment") for name in AXES[kind]}
    standard_names = ("time", "forecast_period", "forecast_reference_time", "realization")
    found = []
    for name, variable in dataset.data_vars.items():
        known = str(name).rstrip("0123456789") in named or name in named
        if known or variable.attrs.get("standard_name") in standard_names:
            if not {_axis(str(axis), dataset[axis]) for axis in variable.dims} & {"latitude", "longitude", "level"}:
                found.append(name)
    return dataset.set_coords(found)


def standard_axes(
    field: xr.DataArray, source: str, options: Options, times: np.ndarray | None, notes: list[str]
) -> xr.DataArray | None:
    """Bring a field to the axes time, level (if it has levels), latitude and longitude; None for other kinds.

    The axes keep their order, since a field that xarray transposes before it is read is read point by point. The
    attributes ``member`` and ``expver`` give the ensemble member and the experiment, if they are known.

    Parameters
    ----------
    field : DataArray
        Of a dataset of `with_coordinates`.
    source : str
        For messages.
    options : Options
    times : array of datetime64 or None
        Valid times that are needed; None means all.
    notes : list of str
        Receives a line about what is left out or chosen.

    Raises
    ------
    ValueError
        If its axes cannot be understood, if it is not global, or if it has several ensemble members.
    """
    name = field.name
    kinds: dict[Hashable, str | None] = {
        axis: _axis(str(axis), field[axis]) for axis in (*field.dims, *(set(field.coords) - set(field.dims)))
    }
    chosen = _one_member(field, kinds, source, options, notes)
    if chosen is None:
        return None
    field, member = chosen
    if not {"time", "base"} & {kind for axis, kind in kinds.items() if axis in field.coords}:
        notes.append(f"left out: {name} of {source}, because it has no time")
        return None
    field = on_valid_times(field, kinds, source)
    if times is not None:
        field = field.isel(time=np.isin(field.time.values, times))
        if not field.time.size:
            return None
    field, experiment = one_experiment(field, kinds, source, notes)
    levels = [axis for axis, kind in kinds.items() if kind == "level" and axis in field.coords]
    if levels and not set(levels) & set(field.dims) and field[levels[0]].ndim == 0:
        field = field.expand_dims(levels[0])  # a file of one level
    renamed = {a: k for a, k in kinds.items() if k in ("level", "latitude", "longitude") and a in field.dims}
    field = field.rename({axis: kind for axis, kind in renamed.items() if axis != kind})
    others = [axis for axis in field.dims if axis not in ("time", "level", "latitude", "longitude")]
    field = field.squeeze([axis for axis in others if field.sizes[axis] == 1], drop=True)
    others = [str(axis) for axis in others if axis in field.dims]
    if others or not {"latitude", "longitude"} <= set(field.dims):
        kind = field.attrs.get("GRIB_gridType")
        what = f" of grid {kind}" if kind and kind != "regular_ll" else ""
        notes.append(
            f"left out: {name} of {source}{what}, because its axes {', '.join(map(str, field.dims))} are not those of "
            "pressure levels on latitudes and longitudes"
        )
        return None
    field = field.drop_vars([c for c in field.coords if c not in field.dims])
    if "level" in field.dims:
        field = _ascending(field.assign_coords(level=_hectopascals(field.level, source)), "level")
    return _whole_globe(field, source).assign_attrs(member=member, expver=experiment)


def in_order(field: xr.DataArray) -> np.ndarray:
    """Values of a field of `standard_axes`, (time, level, latitude, longitude), as far as it has these axes.

    They are read in the order of their file, and transposed in memory.
    """
    return field.compute().transpose("time", ..., "latitude", "longitude", missing_dims="ignore").values


def _one_member(
    field: xr.DataArray, kinds: dict[Hashable, str | None], source: str, options: Options, notes: list[str]
) -> tuple[xr.DataArray, int | None] | None:
    """The field of one ensemble member, and the number of the member, if any; None if it belongs to another member."""
    name = field.name
    member: int | None = None
    for axis in [axis for axis, kind in kinds.items() if kind == "member"]:
        numbers = np.atleast_1d(field[axis].values).tolist()
        if options.member is None and len(numbers) > 1:
            raise ValueError(
                f"{source}: {name} has {len(numbers)} ensemble members ({axis} {numbers[0]} to {numbers[-1]}); choose "
                "one with the option member"
            )
        if options.member is not None and options.member not in numbers:
            if axis in field.dims:
                raise ValueError(
                    f"{source}: {name} has no member {options.member}; the members in {axis} are {numbers}"
                )
            notes.append(f"left out: {name} of {source}, which is member {numbers[0]}")
            return None
        member = numbers[0] if options.member is None else options.member
        if axis in field.dims:
            field = field.isel({axis: 0 if options.member is None else numbers.index(options.member)})
            if len(numbers) > 1:
                notes.append(f"chosen: member {options.member} of {len(numbers)}")
    return field, member


def _ascending(field: xr.DataArray, axis: str) -> xr.DataArray:
    values = field[axis].values
    return field if (values[1:] > values[:-1]).all() else field.sortby(axis)


def _hectopascals(level: xr.DataArray, source: str) -> np.ndarray:
    """Values of a level axis in hPa."""
    values = level.values.astype(float)
    units = str(level.attrs.get("units", "hPa")).lower()
    if units in ("pa", "pascal") or values.max() > 2000:
        return values / 100.0
    if units not in ("hpa", "millibar", "millibars", "mbar", "mb", "hectopascal", "hectopascals"):
        raise ValueError(f"{source}: the levels are in {units!r}, but must be in hPa or Pa; convert them")
    return values


def _whole_globe(field: xr.DataArray, source: str) -> xr.DataArray:
    """Order latitudes from the north and longitudes eastward from 0, each meridian once; refuse regional grids."""
    longitude = field.longitude.values.astype(float) % 360.0
    longitude[np.isclose(longitude, 360.0, atol=1e-3)] = 0.0
    field = field.assign_coords(longitude=np.round(longitude, 5))
    if len(np.unique(field.longitude.values)) < longitude.size:
        field = field.drop_duplicates("longitude")
    field = _ascending(field, "longitude")
    field = field.assign_coords(latitude=np.round(field.latitude.values.astype(float), 5))
    beyond = field.latitude.values[np.abs(field.latitude.values) > 90.0 + 1e-4]
    if beyond.size:
        raise ValueError(
            f"{source}: {field.name} has latitudes beyond the poles ({beyond[0]:g}); give the latitudes of its points "
            "in degrees, from -90 to 90"
        )
    if not (np.diff(field.latitude.values) < 0).all():
        field = field.sortby("latitude", ascending=False)
    latitude = field.latitude.values
    longitude = field.longitude.values
    east = np.diff(np.append(longitude, longitude[0] + 360.0))
    south = -np.diff(latitude)
    if min(latitude.size, longitude.size) < 2 or not (
        np.allclose(east, 360.0 / longitude.size, rtol=0.02)
        and max(90.0 - latitude[0], 90.0 + latitude[-1]) <= 1.1 * south.max()
        and south.max() <= 1.5 * south.min()
    ):
        raise ValueError(
            f"{source}: {field.name} covers latitudes {latitude[-1]:.2f} to {latitude[0]:.2f} ({latitude.size}) and "
            f"longitudes {longitude[0]:.2f} to {longitude[-1]:.2f} ({longitude.size}), which is not the whole globe in "
            "regular steps; give global fields"
        )
    return field


def on_levels(short: str, field: xr.DataArray, options: Options, notes: list[str]) -> xr.DataArray:
    """The field on the levels of the state; missing levels are interpolated, if that is allowed, or not a number."""
    levels = field.level.values
    wanted = field.reindex(level=list(LEVELS), method="nearest", tolerance=0.05)
    if not options.interpolate_levels:
        return wanted
    parts = []
    for index, level in enumerate(LEVELS):
        above = levels[levels < level - 0.05]
        below = levels[levels > level + 0.05]
        part = wanted.isel(level=[index])
        if not np.isclose(levels, level, atol=0.05).any() and above.size and below.size:
            low = above.max()
            high = below.min()
            weight = np.log(level / low) / np.log(high / low)
            part = part.copy(
                data=(1 - weight) * field.sel(level=[low]).values + weight * field.sel(level=[high]).values
            )
            notes.append(f"interpolated: {short}{level} in ln p between {low:g} and {high:g} hPa")
        parts.append(part)
    return xr.concat(parts, "level").transpose(*wanted.dims)
