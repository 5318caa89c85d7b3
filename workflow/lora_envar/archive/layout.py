"""Any GRIB or netCDF dataset of a reanalysis into the 69 channels, by names, units and axes; what lacks is named.

Two steps: `standard_dataset` finds the fields of the state in datasets as they come, and puts them on standard axes and
levels, in the units of the state; `states_from_dataset` makes states of them, or says what is missing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import xarray as xr

from ..grid import Grid
from ..state import CHANNELS, LEVELS, SURFACE, UPPER_AIR, VARIABLES

GRAVITY = 9.80665  # m s-2, by which geopotential height becomes geopotential
GAS_CONSTANT = 287.05  # J kg-1 K-1, dry air
VAPOUR_GAS_CONSTANT = 461.52  # J kg-1 K-1
LAPSE_RATE = 6.5e-3  # K m-1

#: axis -> names it has in files; a number at the end does not count ("isobaric3")
AXES = {
    "time": ("valid_time", "time", "initial_time0_hours"),
    "step": ("step", "prediction_timedelta"),
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
#: short name -> names in files beside the short and the long one: of ecCodes, CMIP, NCEP, MERRA-2
ALIASES = {
    "u10": ("10u", "uas", "U10M"),
    "v10": ("10v", "vas", "V10M"),
    "t2m": ("2t", "tas", "T2M"),
    "msl": ("prmsl", "psl", "slp", "SLP"),
    "z": ("gh", "geopotential_height", "zg", "hgt", "H"),
    "q": ("hus", "shum", "QV"),
    "u": ("ua", "uwnd", "U"),
    "v": ("va", "vwnd", "V"),
    "t": ("ta", "air", "T"),
    "r": ("relative_humidity", "hur", "rhum", "RH"),
}
#: short name -> CF standard names that say enough; near the ground they do not
STANDARD_NAMES = {
    "msl": ("air_pressure_at_mean_sea_level", "air_pressure_at_sea_level"),
    "z": ("geopotential", "geopotential_height"),
    "q": ("specific_humidity",),
    "u": ("eastward_wind",),
    "v": ("northward_wind",),
    "t": ("air_temperature",),
    "r": ("relative_humidity",),
}
_HEIGHTS = ("gh", "geopotential_height", "zg", "hgt", "H")
_UNITS = {"m/s": "m s-1", "m2/s2": "m2 s-2", "kg/kg": "kg kg-1", "1": "kg kg-1", "kelvin": "K", "pascal": "Pa"}


class IncompleteError(ValueError):
    """The data lack something that the state needs."""


@dataclass(frozen=True)
class Options:
    """What may be done to data that are not states as they come.

    Attributes
    ----------
    derive : tuple of str
        Surface variables that may be computed where they are missing, see `surface_estimate`.
    member : int or None
        Which member of an ensemble to take.
    interpolate_levels : bool
        Whether levels that lack may be interpolated, linearly in the logarithm of pressure, between those around them.
    """

    derive: tuple[str, ...] = ()
    member: int | None = None
    interpolate_levels: bool = False

    @classmethod
    def from_settings(cls, archive: dict) -> "Options":
        """Of the configuration's section `archive`."""
        derive = tuple(archive.get("derive", ()))
        return cls(derive, archive.get("member"), archive.get("interpolate_levels", False))


#: nothing beyond what can be done without loss
AS_THEY_COME = Options()


def states_from_dataset(
    dataset: xr.Dataset, source: str, derive: tuple[str, ...] = ()
) -> tuple[list[datetime], Grid, np.ndarray]:
    """Times, grid, and states of shape (time, 69, lat, lon) of a dataset.

    Parameters
    ----------
    dataset : xarray.Dataset
    source : str
        Where it comes from, for messages.
    derive : tuple of str
        See `Options`.

    Raises
    ------
    IncompleteError
        If variables or levels are missing; all of them are named.
    ValueError
        If axes or units cannot be understood, or values are not finite.
    """
    options = Options(tuple(derive))
    standard, notes = standard_dataset([(source, dataset)], options)
    refuse_incomplete(standard, source, options, notes)
    return utc_times(standard), own_grid(standard, source), stack(standard, source, options.derive)


def standard_dataset(
    parts: Iterable[tuple[str, xr.Dataset]], options: Options = AS_THEY_COME, times: np.ndarray | None = None
) -> tuple[xr.Dataset, list[str]]:
    """The fields of the state that datasets hold between them, by short name, and notes on what was done to get them.

    Axes are time, level (always the 13 of the state), latitude from the north, longitude from 0 eastward; units are
    those of the state. Levels that lack are not a number. Relative humidity becomes specific humidity where there is
    none.

    Parameters
    ----------
    parts : iterable of (str, xarray.Dataset)
        Each with the name of the file it comes from, for messages.
    options : Options
    times : array of datetime64, optional
        Valid times that are wanted; others are not read.

    Raises
    ------
    ValueError
        If what there is cannot be understood, contradicts itself, or is of several ensemble members.
    """
    found: dict[str, list[xr.DataArray]] = {}
    notes: list[str] = []
    axes = None
    for source, dataset in parts:
        for short, field in _fields(dataset, source, options, times, notes):
            here = field.latitude.values, field.longitude.values
            if axes is None:
                axes = here
            if any(a.shape != b.shape or not np.allclose(a, b, atol=1e-3) for a, b in zip(axes, here, strict=True)):
                raise ValueError(
                    f"{source}: {short} is on {here[0].size} x {here[1].size} points, other fields on {axes[0].size} x "
                    f"{axes[1].size}, or on others; give files of one grid"
                )
            # files of different precision would not align
            found.setdefault(short, []).append(field.assign_coords(latitude=axes[0], longitude=axes[1]))
    joined = {short: _join(short, fields) for short, fields in found.items()}
    if "q" not in joined and {"r", "t"} <= set(joined):
        notes.append("converted: q from relative humidity and temperature, saturation of the IFS (mixed phase)")
    for short in set(joined) - set(SURFACE):
        joined[short] = _on_levels(short, joined[short], options, notes)
    if "q" not in joined and {"r", "t"} <= set(joined):
        pressure = joined["t"].level * 100.0
        joined["q"] = specific_humidity(joined["r"], joined["t"], pressure).assign_attrs(units=VARIABLES["q"][2])
    joined.pop("r", None)
    standard = xr.Dataset({short: joined[short] for short in VARIABLES if short in joined})
    return standard, list(dict.fromkeys(notes))


def missing_channels(standard: xr.Dataset, derive: tuple[str, ...] = ()) -> list[str]:
    """Channels that a dataset of `standard_dataset` lacks at any time: whole variables first, then levels."""
    lacking = [c.name for c in CHANNELS if c.variable not in standard and c.variable not in derive]
    for short in standard:
        absent = standard[short].isnull().all(("latitude", "longitude")).any("time")
        names = [f"{short}{level}" for level in LEVELS] if short in UPPER_AIR else [short]
        lacking += [name for name, gone in zip(names, np.atleast_1d(absent.values), strict=True) if gone]
    return lacking


def refuse_incomplete(standard: xr.Dataset, source: str, options: Options, notes: Iterable[str] = ()):
    """Raise an `IncompleteError` that names what a dataset of `standard_dataset` lacks, if it lacks anything."""
    missing = missing_channels(standard, options.derive)
    if missing:
        left_out = "".join(f"; {note}" for note in notes if note.startswith("left out"))
        has = ", ".join(map(str, standard.data_vars)) or "none of the state's variables"
        raise IncompleteError(
            f"{source}: lacks {', '.join(missing)}; it has {has}{left_out}. Add the missing fields, or name surface "
            "variables that may be derived in archive.derive"
            + ("" if options.interpolate_levels else ", or allow levels to be interpolated (interpolate_levels)")
        )


def in_words(channels: list[str]) -> str:
    """Names of channels for a reader: a variable of which all levels are among them is named once."""
    words = list(channels)
    for short in UPPER_AIR:
        names = [f"{short}{level}" for level in LEVELS]
        if set(names) <= set(words):
            words[words.index(names[0])] = f"{short} (all levels)"
            words = [name for name in words if name not in names]
    return ", ".join(words)


def utc_times(standard: xr.Dataset) -> list[datetime]:
    """The times of a dataset of `standard_dataset`."""
    seconds = (standard.time.values - np.datetime64("1970-01-01")) / np.timedelta64(1, "s")
    return [datetime.fromtimestamp(round(value), UTC) for value in seconds]


def own_grid(standard: xr.Dataset, source: str) -> Grid:
    """The grid that a dataset of `standard_dataset` is on.

    Raises
    ------
    ValueError
        If it is neither a Gaussian grid nor an equiangular one with poles.
    """
    try:
        return Grid.from_coordinates(standard.latitude.values, standard.longitude.values)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None


def stack(standard: xr.Dataset, source: str, derive: tuple[str, ...], partial: bool = False) -> np.ndarray:
    """States, (time, 69, lat, lon), of a dataset of `standard_dataset`, with what lacks of `derive` derived.

    Raises
    ------
    ValueError
        If values are not finite, unless `partial`: then what is missing is not a number.
    """
    shape = tuple(standard.sizes[axis] for axis in ("time", "latitude", "longitude"))
    absent = np.full((shape[0], len(LEVELS), *shape[1:]), np.nan, np.float32)
    upper = {name: standard[name].values if name in standard else absent for name in UPPER_AIR}
    states = np.empty((shape[0], len(CHANNELS), *shape[1:]), np.float32)
    for index, name in enumerate(SURFACE):
        if name in standard:
            states[:, index] = standard[name].values
        else:
            states[:, index] = surface_estimate(name, upper) if name in derive else np.nan
    for index, name in enumerate(UPPER_AIR):
        first = len(SURFACE) + index * len(LEVELS)
        states[:, first : first + len(LEVELS)] = upper[name]
    bad = [CHANNELS[index].name for index in np.flatnonzero(~np.isfinite(states).all(axis=(0, 2, 3)))]
    if bad and not partial:
        raise ValueError(f"{source}: {', '.join(bad)} hold values that are missing or not finite")
    return states


def surface_estimate(name: str, upper: dict):
    """A surface variable from the lowest level, 1000 hPa, of upper-air fields.

    u10, v10 by a logarithmic profile, t2m with the standard lapse rate, msl hydrostatically from z1000.

    Parameters
    ----------
    name : str
    upper : dict
        Short name -> array or tensor of shape (..., 13, lat, lon) in the units of the state.

    Returns
    -------
    array or tensor of shape (..., lat, lon)
    """
    if name in ("u10", "v10"):
        # 1000 hPa taken as 100 m above a roughness length of 1 cm
        return upper[name[0]][..., -1, :, :] * float(np.log(10 / 0.01) / np.log(100 / 0.01))
    temperature, height = upper["t"][..., -1, :, :], upper["z"][..., -1, :, :] / GRAVITY
    if name == "t2m":
        return temperature + LAPSE_RATE * (height - 2.0).clip(0.0)
    return 1.0e5 * (1 + LAPSE_RATE * height / temperature) ** (GRAVITY / (GAS_CONSTANT * LAPSE_RATE))


def saturation_pressure(temperature):
    """Saturation vapour pressure, Pa, at a temperature in K, over water, ice, or both between -23 and 0 Celsius.

    Tetens' formula with the coefficients of Buck (1981) over water and of Alduchov and Eskridge (1996) over ice, mixed
    as ECMWF's relative humidity (parameter 157) is (IFS documentation Cy41r2, part IV, equation 7.5).
    """
    freezing, all_ice = 273.16, 250.16
    water = 611.21 * np.exp(17.502 * (temperature - freezing) / (temperature - 32.19))
    ice = 611.21 * np.exp(22.587 * (temperature - freezing) / (temperature + 0.7))
    share = ((temperature - all_ice) / (freezing - all_ice)).clip(0.0, 1.0) ** 2
    return share * water + (1 - share) * ice


def specific_humidity(relative, temperature, pressure):
    """Specific humidity, kg/kg, of a relative humidity in per cent, at K and Pa: q = eps e / (p - (1 - eps) e)."""
    ratio = GAS_CONSTANT / VAPOUR_GAS_CONSTANT
    vapour = relative / 100.0 * saturation_pressure(temperature)
    return ratio * vapour / (pressure - (1 - ratio) * vapour)


def _fields(dataset, source, options, times, notes):
    """Pairs of short name and field on standard axes, in standard units, of a dataset."""
    for short, aliases in ALIASES.items():
        names = [name for name in (short, VARIABLES.get(short, (short,))[0], *aliases) if name in dataset.data_vars]
        by_standard_name = STANDARD_NAMES.get(short, ())
        names += [name for name, v in dataset.data_vars.items() if v.attrs.get("standard_name") in by_standard_name]
        for name in dict.fromkeys(names):
            field = _standard_axes(dataset[name], source, options, times, notes)
            if field is None or ("level" in field.dims) != (short not in SURFACE):
                continue
            if name not in (short, VARIABLES.get(short, ("",))[0]):
                notes.append(f"found: {name} as {short}")
            yield short, _standard_units(field, short, name, source, notes)
            break


def _axis(name: str, attributes: dict) -> str | None:
    """Which axis a dimension is, by its name, or else by its attributes."""
    for axis, names in AXES.items():
        if name in names or name.rstrip("0123456789") in names:
            return axis
    units, standard_name = str(attributes.get("units", "")).lower(), attributes.get("standard_name")
    if standard_name == "latitude" or units in ("degrees_north", "degree_north"):
        return "latitude"
    if standard_name == "longitude" or units in ("degrees_east", "degree_east"):
        return "longitude"
    return {"air_pressure": "level", "time": "time", "realization": "member"}.get(standard_name)


def _standard_axes(field: xr.DataArray, source: str, options: Options, times, notes) -> xr.DataArray | None:
    """A field on (time, level, latitude, longitude), the level only if it has one; None if it is of another kind."""
    name = field.name
    kinds = {
        axis: _axis(str(axis), field[axis].attrs) for axis in (*field.dims, *(set(field.coords) - set(field.dims)))
    }
    members = [axis for axis, kind in kinds.items() if kind == "member"]
    for axis in members:
        numbers = np.atleast_1d(field[axis].values).tolist()
        if options.member is None and len(numbers) > 1:
            raise ValueError(
                f"{source}: {name} has {len(numbers)} ensemble members ({axis} {numbers[0]} to {numbers[-1]}); choose "
                "one by the option member"
            )
        if options.member is not None and options.member not in numbers:
            if axis in field.dims:
                raise ValueError(f"{source}: {name} has no member {options.member}; {axis} has {numbers}")
            notes.append(f"left out: {name} of {source}, which is member {numbers[0]}")
            return None
        if axis in field.dims:
            field = field.isel({axis: 0 if options.member is None else numbers.index(options.member)})
            if len(numbers) > 1:
                notes.append(f"chosen: member {options.member} of {len(numbers)}")
    if "time" not in {kind for axis, kind in kinds.items() if axis in field.coords}:
        notes.append(f"left out: {name} of {source}, which has no time")
        return None
    field = _valid_times(field, kinds, source)
    if times is not None:
        field = field.isel(time=np.isin(field.time.values, times))
        if not field.time.size:
            return None
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
            f"left out: {name} of {source}{what}, whose axes {', '.join(map(str, field.dims))} are not those of "
            "pressure levels on latitudes and longitudes"
        )
        return None
    field = field.drop_vars([c for c in field.coords if c not in field.dims])
    if "level" in field.dims:
        field = _ascending(field.assign_coords(level=_hectopascals(field.level, source)), "level")
    return _whole_globe(field, source).transpose("time", ..., "latitude", "longitude")


def _valid_times(field: xr.DataArray, kinds: dict, source: str) -> xr.DataArray:
    """The field with one dimension, time, of valid times; of forecasts, base time plus step."""
    stamps = [axis for axis, kind in kinds.items() if kind == "time" and axis in field.coords]
    steps = [axis for axis, kind in kinds.items() if kind == "step" and axis in field.coords]
    valid = field["valid_time"] if "valid_time" in stamps else field[stamps[0]]
    if steps and "valid_time" not in stamps:
        valid = valid + field[steps[0]]
    if not np.issubdtype(valid.dtype, np.datetime64):
        raise ValueError(f"{source}: the times of {field.name} cannot be read as dates")
    axes, values = valid.dims, valid.values.ravel()
    field = field.drop_vars({*stamps, *steps} - {"latitude", "longitude"})
    if len(axes) == 1:
        field = field.rename({axes[0]: "time"}) if axes[0] != "time" else field
    elif axes:
        field = field.stack(valid_=axes, create_index=False).rename(valid_="time")
    else:
        field = field.expand_dims("time")
    if len(np.unique(values)) < len(values):
        raise ValueError(f"{source}: {field.name} has several values valid at the same time; keep one forecast of each")
    return _ascending(field.assign_coords(time=values.astype("datetime64[ns]")), "time")


def _ascending(field: xr.DataArray, axis: str) -> xr.DataArray:
    values = field[axis].values
    return field if (values[1:] > values[:-1]).all() else field.sortby(axis)


def _hectopascals(level: xr.DataArray, source: str) -> np.ndarray:
    values, units = level.values.astype(float), str(level.attrs.get("units", "hPa")).lower()
    if units in ("pa", "pascal") or values.max() > 2000:
        return values / 100.0
    if units not in ("hpa", "millibar", "millibars", "mbar", "mb", "hectopascal", "hectopascals"):
        raise ValueError(f"{source}: levels are in {units!r}, expected hPa or Pa")
    return values


def _whole_globe(field: xr.DataArray, source: str) -> xr.DataArray:
    """Latitudes from the north, longitudes from 0 eastward, each meridian once; refuses what is not global."""
    longitude = field.longitude.values.astype(float) % 360.0
    longitude[np.isclose(longitude, 360.0, atol=1e-3)] = 0.0
    field = field.assign_coords(longitude=np.round(longitude, 5))
    if len(np.unique(field.longitude.values)) < longitude.size:
        field = field.drop_duplicates("longitude")
    field = _ascending(field, "longitude")
    field = field.assign_coords(latitude=np.round(field.latitude.values.astype(float), 5))
    if not (np.diff(field.latitude.values) < 0).all():
        field = field.sortby("latitude", ascending=False)
    latitude, longitude = field.latitude.values, field.longitude.values
    east = np.diff(np.append(longitude, longitude[0] + 360.0))
    south = -np.diff(latitude)
    if min(latitude.size, longitude.size) < 2 or not (
        np.allclose(east, 360.0 / longitude.size, rtol=0.02)
        and max(90.0 - latitude[0], 90.0 + latitude[-1]) <= 1.1 * south.max()
        and south.max() <= 1.5 * south.min()
    ):
        raise ValueError(
            f"{source}: {field.name} covers latitudes {latitude[-1]:.2f} to {latitude[0]:.2f} ({latitude.size}) and "
            f"longitudes {longitude[0]:.2f} to {longitude[-1]:.2f} ({longitude.size}), not the whole globe in regular "
            "steps; states are global"
        )
    return field


def _standard_units(field: xr.DataArray, short: str, name: str, source: str, notes) -> xr.DataArray:
    expected = "%" if short == "r" else VARIABLES[short][2]
    units = str(field.attrs.get("units", "m" if name in _HEIGHTS else expected)).replace("**", "").replace("^", "")
    units = units.strip()
    if short == "z" and units in ("m", "gpm", "geopotential_meter"):
        notes.append(f"converted: z from geopotential height {name} in m, times {GRAVITY} m s-2")
        field, units = field * GRAVITY, expected
    elif short == "msl" and units in ("hPa", "mb", "mbar", "millibars"):
        notes.append(f"converted: msl from {units} to Pa")
        field, units = field * 100.0, expected
    elif short == "r" and units in ("1", "0-1"):
        notes.append("converted: r from a fraction to per cent")
        field, units = field * 100.0, expected
    if units != expected and _UNITS.get(units.lower(), units) != expected:
        raise ValueError(f"{source}: {name} is in {units!r}, expected {expected!r}")
    return field.assign_attrs(units=expected)


def _join(short: str, fields: list[xr.DataArray]) -> xr.DataArray:
    """One field of those of several files, over all their times and levels."""
    if len(fields) == 1:
        return fields[0].rename(short)
    try:
        parts = [field.rename(short).to_dataset() for field in fields]
        return xr.merge(parts, compat="no_conflicts", join="outer", combine_attrs="override")[short]
    except xr.MergeError:
        raise ValueError(
            f"files have different values of {short} at the same time and level; keep one of them"
        ) from None


def _on_levels(short: str, field: xr.DataArray, options: Options, notes) -> xr.DataArray:
    """The field on the levels of the state; those that lack are interpolated, if that may be, or not a number."""
    levels = field.level.values
    wanted = field.reindex(level=list(LEVELS), method="nearest", tolerance=0.05)
    if not options.interpolate_levels:
        return wanted
    parts = []
    for index, level in enumerate(LEVELS):
        above, below = levels[levels < level - 0.05], levels[levels > level + 0.05]
        part = wanted.isel(level=[index])
        if not np.isclose(levels, level, atol=0.05).any() and above.size and below.size:
            low, high = above.max(), below.min()
            weight = np.log(level / low) / np.log(high / low)
            part = part.copy(
                data=(1 - weight) * field.sel(level=[low]).values + weight * field.sel(level=[high]).values
            )
            notes.append(f"interpolated: {short}{level} in ln p between {low:g} and {high:g} hPa")
        parts.append(part)
    return xr.concat(parts, "level").transpose(*wanted.dims)
