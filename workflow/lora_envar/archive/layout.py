"""Any GRIB or netCDF dataset of a reanalysis into the 69 channels, by names, units and axes; what lacks is named."""

from datetime import UTC, datetime

import numpy as np
import xarray as xr

from ..grid import Grid
from ..state import CHANNELS, LEVELS, SURFACE, VARIABLES

GRAVITY = 9.80665  # m s-2, by which geopotential height becomes geopotential
GAS_CONSTANT = 287.05  # J kg-1 K-1, dry air
LAPSE_RATE = 6.5e-3  # K m-1

#: dimension -> names it has in files
AXES = {
    "time": ("time", "valid_time", "initial_time0_hours"),
    "level": ("level", "pressure_level", "isobaricInhPa", "plev", "isobaric", "lev"),
    "latitude": ("latitude", "lat", "g0_lat_1"),
    "longitude": ("longitude", "lon", "g0_lon_2"),
}
#: short name -> names in files beside the short and the long one
ALIASES = {
    "u10": ("10u",),
    "v10": ("10v",),
    "t2m": ("2t",),
    "msl": ("mean_sea_level_pressure", "prmsl"),
    "z": ("gh",),
    "q": (),
    "u": (),
    "v": (),
    "t": (),
}


class IncompleteError(ValueError):
    """The data lack something that the state needs."""


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
        Surface variables that may be computed where they are missing: u10, v10 by a logarithmic profile from the wind
        at 1000 hPa, t2m from the temperature at 1000 hPa with the standard lapse rate, msl hydrostatically from z1000.

    Raises
    ------
    IncompleteError
        If variables or levels are missing; all of them are named.
    ValueError
        If axes or units cannot be understood, or values are not finite.
    """
    dataset = _standard_axes(dataset, source)
    found = {}
    for short, (long, *_) in VARIABLES.items():
        for candidate in (short, long, *ALIASES[short]):
            if candidate in dataset and ("level" in dataset[candidate].dims) == (short not in SURFACE):
                found[short] = _standard_units(dataset[candidate], short, candidate, source)
                break
    missing = [c.name for c in CHANNELS if c.variable not in found and c.variable not in derive]
    for variable in set(found) - set(SURFACE):
        levels = found[variable].level.values
        missing += [f"{variable}{level}" for level in LEVELS if not np.isclose(levels, level).any()]
    if missing:
        raise IncompleteError(
            f"{source}: lacks {', '.join(missing)}; it has {', '.join(map(str, dataset.data_vars))}. Add the missing "
            "fields, or name surface variables that may be derived in archive.derive"
        )
    upper = {
        name: field.sel(level=list(LEVELS), method="nearest").transpose("time", "level", "latitude", "longitude").values
        for name, field in found.items()
        if name not in SURFACE
    }
    surface = {
        name: found[name].transpose("time", "latitude", "longitude").values if name in found else _derived(name, upper)
        for name in SURFACE
    }
    states = np.concatenate(
        [surface[name][:, None] for name in SURFACE] + [upper[name] for name in VARIABLES if name not in SURFACE],
        axis=1,
    )
    bad = [CHANNELS[index].name for index in np.flatnonzero(~np.isfinite(states).all(axis=(0, 2, 3)))]
    if bad:
        raise ValueError(f"{source}: {', '.join(bad)} hold values that are missing or not finite")
    times = [_utc(value) for value in dataset.time.values]
    grid = Grid.from_coordinates(dataset.latitude.values, dataset.longitude.values)
    return times, grid, states.astype(np.float32)


def _utc(value: np.datetime64) -> datetime:
    seconds = (value - np.datetime64("1970-01-01")) / np.timedelta64(1, "s")
    return datetime.fromtimestamp(round(seconds), UTC)


def _standard_axes(dataset: xr.Dataset, source: str) -> xr.Dataset:
    """Rename the axes; order them north to south, from 0 eastward, and from the top down in hPa."""
    renamed = {}
    for axis, names in AXES.items():
        present = [name for name in names if name in dataset.dims or (axis == "time" and name in dataset.coords)]
        if not present and axis != "level":
            raise ValueError(f"{source}: has no {axis} axis; looked for {', '.join(names)}")
        if present and present[0] != axis:
            dataset = dataset.drop_vars(axis) if axis in dataset.coords else dataset
            renamed[present[0]] = axis
    dataset = dataset.rename(renamed)
    if "time" not in dataset.dims:
        dataset = dataset.expand_dims("time")
    if "level" in dataset.dims:
        units = dataset.level.attrs.get("units", "hPa").lower()
        values = dataset.level.values.astype(float)
        if units in ("pa", "pascal") or values.max() > 2000:
            values = values / 100.0
        elif units not in ("hpa", "millibars", "mbar", "mb", "hectopascal"):
            raise ValueError(f"{source}: levels are in {units!r}, expected hPa or Pa")
        dataset = dataset.assign_coords(level=values).sortby("level")
    longitude = dataset.longitude.values % 360.0
    longitude[np.isclose(longitude, 360.0)] = 0.0
    dataset = dataset.assign_coords(longitude=longitude).drop_duplicates("longitude").sortby("longitude")
    return dataset.sortby("latitude", ascending=False)


def _standard_units(field: xr.DataArray, short: str, name: str, source: str) -> xr.DataArray:
    expected = VARIABLES[short][2]
    units = str(field.attrs.get("units", expected)).replace("**", "").replace("^", "")
    if short == "z" and (name == "gh" or units in ("m", "gpm")):
        return field * GRAVITY
    same = {"m/s": "m s-1", "m2/s2": "m2 s-2", "kg/kg": "kg kg-1", "1": "kg kg-1", "K": "K", "Pa": "Pa"}
    if same.get(units, units) != expected:
        raise ValueError(f"{source}: {name} is in {units!r}, expected {expected!r}")
    return field


def _derived(name: str, upper: dict[str, np.ndarray]) -> np.ndarray:
    """A surface variable from the lowest level, 1000 hPa, of upper-air fields (time, level, lat, lon)."""
    temperature, height = upper["t"][:, -1], upper["z"][:, -1] / GRAVITY
    if name == "t2m":
        return temperature + LAPSE_RATE * np.clip(height - 2.0, 0.0, None)
    if name == "msl":
        return 1.0e5 * (1 + LAPSE_RATE * height / temperature) ** (GRAVITY / (GAS_CONSTANT * LAPSE_RATE))
    log_profile = np.log(10 / 0.01) / np.log(100 / 0.01)  # 1000 hPa taken as 100 m above a roughness length of 1 cm
    return upper[name[0]][:, -1] * log_profile
