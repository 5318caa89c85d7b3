"""From any GRIB or netCDF dataset of a reanalysis to the 69 channels, by names, units and axes, with what is missing.

There are two steps: `standard_dataset` finds the fields of the state in datasets, and puts them on standard axes and
levels, in the units of the state; `utc_times`, `own_grid` and `stack` make states of them, once `refuse_incomplete` has
found nothing missing. Names and units are understood in `variables`, axes and levels in `axes`.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TypeVar

import numpy as np
import xarray as xr

from ..fields.constants import GAS_CONSTANT, GRAVITY, LAPSE_RATE, VAPOUR_GAS_CONSTANT
from ..fields.grid import Field, Grid
from ..fields.state import CHANNELS, LEVELS, SURFACE, UPPER_AIR, VARIABLES
from .axes import in_order, on_levels
from .completeness import IncompleteError as IncompleteError
from .completeness import describe_channels as describe_channels
from .experiments import FINAL, PRELIMINARY, final_over_preliminary
from .options import AS_THEY_COME, Options
from .plausibility import refuse_fraction, refuse_implausible
from .valid_times import describe_times, whole_hours
from .variables import fields_of_state

Values = TypeVar("Values", np.ndarray, xr.DataArray)


def standard_dataset(
    parts: Iterable[tuple[str, xr.Dataset]], options: Options = AS_THEY_COME, times: np.ndarray | None = None
) -> tuple[xr.Dataset, list[str]]:
    """The fields of the state that datasets have together, by short name, and notes on what was done to get them.

    The axes are time, level (always the 13 of the state), latitude from the north, longitude from 0 eastward, in the
    order of the files; units are those of the state. Missing levels are not a number. Relative humidity is converted if
    there is no specific one.

    Parameters
    ----------
    parts : iterable of (str, xarray.Dataset)
        Each with the name of its file, for messages.
    options : Options
    times : array of datetime64, optional
        Valid times that are needed; others are not read.

    Raises
    ------
    ValueError
        If the data cannot be understood, contradict each other, or have several ensemble members.
    """
    found: dict[str, list[tuple[str, xr.DataArray]]] = {}
    notes: list[str] = []
    axes = None
    members: dict[int, str] = {}
    for source, dataset in parts:
        for short, field in fields_of_state(dataset, source, options, times, notes):
            here = field.latitude.values, field.longitude.values
            if axes is None:
                axes = here
            if any(a.shape != b.shape or not np.allclose(a, b, atol=1e-3) for a, b in zip(axes, here, strict=True)):
                raise ValueError(
                    f"{source}: {short} is on {here[0].size} x {here[1].size} points, but other fields are on "
                    f"{axes[0].size} x {axes[1].size}, or on other points; give files that share one grid"
                )
            _refuse_members(members, field.attrs["member"], short, source)
            # files of different precision would not align
            field = field.assign_coords(latitude=axes[0], longitude=axes[1])
            found.setdefault(short, []).append((source, field))
    joined = {short: _join(short, fields, notes) for short, fields in found.items()}
    if "q" not in joined and {"r", "t"} <= set(joined):
        notes.append("converted: q from relative humidity and temperature, saturation of the IFS (mixed phase)")
    for short in [short for short in joined if short not in SURFACE]:
        joined[short] = on_levels(short, joined[short], options, notes)
    if "q" not in joined and {"r", "t"} <= set(joined):
        refuse_fraction(joined["r"].values, "r", "relative humidity")
        pressure = joined["t"].level * 100.0
        joined["q"] = specific_humidity(joined["r"], joined["t"], pressure).assign_attrs(units=VARIABLES["q"][2])
    joined.pop("r", None)
    standard = xr.Dataset({short: joined[short] for short in VARIABLES if short in joined})
    for field in standard.data_vars.values():
        # an experiment that a GRIB message does not name is None, which netCDF has no form of
        known = {key: value for key, value in field.attrs.items() if value is not None}
        field.attrs = {key: value for key, value in known.items() if key not in ("member", "expver")}
    return standard, list(dict.fromkeys(notes))


def utc_times(standard: xr.Dataset, source: str) -> list[datetime]:
    """The times of a dataset from `standard_dataset`; times that are not whole hours are refused (ValueError)."""
    return whole_hours(standard.time.values, source)


def own_grid(standard: xr.Dataset, source: str) -> Grid:
    """The grid of a dataset from `standard_dataset`.

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
    """Make states, (time, 69, lat, lon), from a dataset of `standard_dataset`; what is missing of `derive` is derived.

    Raises
    ------
    ValueError
        If values are not finite, unless `partial`: then fields that are missing are not a number, but none may have
        holes. If values cannot be the atmosphere's, see `plausibility`.
    """
    shape = tuple(standard.sizes[axis] for axis in ("time", "latitude", "longitude"))
    absent = np.full((shape[0], len(LEVELS), *shape[1:]), np.nan, np.float32)
    upper = {name: in_order(standard[name]) if name in standard else absent for name in UPPER_AIR}
    states = np.empty((shape[0], len(CHANNELS), *shape[1:]), np.float32)
    for index, name in enumerate(SURFACE):
        if name in standard:
            states[:, index] = in_order(standard[name])
        else:
            states[:, index] = surface_estimate(name, upper) if name in derive else np.nan
    for index, name in enumerate(UPPER_AIR):
        first = len(SURFACE) + index * len(LEVELS)
        states[:, first : first + len(LEVELS)] = upper[name]
    _refuse_holes(states, standard.time.values, source, partial)
    # what is derived is wrong where what it is derived from is, which is to be named
    derived = tuple(name for name in derive if name not in standard)
    refuse_implausible(states, standard.time.values, source, derived)
    return states


def _refuse_holes(states: np.ndarray, times: np.ndarray, source: str, partial: bool) -> None:
    """Refuse fields with values that are not finite, and fields without any value unless `partial`."""
    broken = ~np.isfinite(states).all(axis=(2, 3))
    if partial:
        broken &= ~np.isnan(states).all(axis=(2, 3))
    if not broken.any():
        return
    channel = int(np.flatnonzero(broken.any(axis=0))[0])
    when = np.flatnonzero(broken[:, channel])
    holes = int((~np.isfinite(states[when[0], channel])).sum())
    others = [CHANNELS[index].name for index in np.flatnonzero(broken.any(axis=0))[1:]]
    raise ValueError(
        f"{source}: {CHANNELS[channel].name} has values that are missing or not finite at "
        f"{describe_times(times[when])}: {holes} of {states[0, 0].size} points"
        + (f" (so have {', '.join(others)})" if others else "")
        + (
            ". A state needs a value everywhere, also below the ground; give files that have one, or leave out these "
            "times"
        )
    )


def surface_estimate(name: str, upper: Mapping[str, Field]) -> Field:
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
    temperature = upper["t"][..., -1, :, :]
    height = upper["z"][..., -1, :, :] / GRAVITY
    if name == "t2m":
        return temperature + LAPSE_RATE * (height - 2.0).clip(0.0)
    return 1.0e5 * (1 + LAPSE_RATE * height / temperature) ** (GRAVITY / (GAS_CONSTANT * LAPSE_RATE))


def saturation_pressure(temperature: Values) -> Values:
    """Saturation vapour pressure, Pa, at a temperature in K, over water, ice, or both between -23 and 0 Celsius.

    Tetens' formula with the coefficients of Buck (1981) over water and of Alduchov and Eskridge (1996) over ice, mixed
    as ECMWF's relative humidity (parameter 157) is (IFS documentation Cy41r2, part IV, equation 7.5).
    """
    freezing = 273.16
    all_ice = 250.16
    water = 611.21 * np.exp(17.502 * (temperature - freezing) / (temperature - 32.19))
    ice = 611.21 * np.exp(22.587 * (temperature - freezing) / (temperature + 0.7))
    share = ((temperature - all_ice) / (freezing - all_ice)).clip(0.0, 1.0) ** 2
    return share * water + (1 - share) * ice


def specific_humidity(relative: Values, temperature: Values, pressure: Values) -> Values:
    """Specific humidity, kg/kg, of a relative humidity in per cent, at K and Pa: q = eps e / (p - (1 - eps) e)."""
    ratio = GAS_CONSTANT / VAPOUR_GAS_CONSTANT
    vapour = relative / 100.0 * saturation_pressure(temperature)
    return ratio * vapour / (pressure - (1 - ratio) * vapour)


def _refuse_members(known: dict[int, str], member: int | None, short: str, source: str) -> None:
    """Refuse a second ensemble member; fields without a member's number fit any member."""
    if member is None:
        return
    known.setdefault(member, f"{short} of {source}")
    if len(known) > 1:
        (one, where), (other, there) = known.items()
        raise ValueError(
            f"the files belong to several ensemble members: {one} ({where}) and {other} ({there}); choose one with the "
            "option member"
        )


def _join(short: str, fields: list[tuple[str, xr.DataArray]], notes: list[str]) -> xr.DataArray:
    """Join the fields of several files, over all their times and levels; ERA5 takes precedence over ERA5T."""
    preliminary = [(source, field) for source, field in fields if field.attrs["expver"] == PRELIMINARY]
    others = [(source, field) for source, field in fields if field.attrs["expver"] != PRELIMINARY]
    if not others or not any(field.attrs["expver"] == FINAL for _, field in others):
        return _merge(short, fields)
    if not preliminary:
        return _merge(short, others)
    source = ", ".join(dict.fromkeys(source for source, _ in preliminary))
    return final_over_preliminary(_merge(short, others), _merge(short, preliminary), source, notes)


def _merge(short: str, fields: list[tuple[str, xr.DataArray]]) -> xr.DataArray:
    if len(fields) == 1:
        return fields[0][1].rename(short)
    try:
        parts = [field.rename(short).to_dataset() for _, field in fields]
        return xr.merge(parts, compat="no_conflicts", join="outer", combine_attrs="override")[short]
    except xr.MergeError:
        names = list(dict.fromkeys(source for source, _ in fields))
        raise ValueError(
            f"the files have different values of {short} at the same time and level "
            f"({', '.join(names[:4])}{f' and {len(names) - 4} more' if len(names) > 4 else ''}); keep only one of them"
        ) from None
