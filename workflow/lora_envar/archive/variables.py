"""Fields of the state in a dataset, found by their names in files, and converted to the units of the state."""

from collections.abc import Hashable, Iterator

import numpy as np
import xarray as xr

from ..fields.constants import GRAVITY
from ..fields.state import SURFACE, VARIABLES
from .axes import standard_axes, with_coordinates
from .options import Options

#: short name -> names in files beside the short and the long one: of ecCodes, CMIP, NCEP, MERRA-2, NCAR
ALIASES = {
    "u10": ("10u", "uas", "U10M", "VAR_10U"),
    "v10": ("10v", "vas", "V10M", "VAR_10V"),
    "t2m": ("2t", "tas", "T2M", "VAR_2T"),
    "msl": ("prmsl", "psl", "slp", "SLP", "MSL", "PSL"),
    "z": ("gh", "geopotential_height", "zg", "hgt", "H", "Z"),
    "q": ("hus", "shum", "QV", "Q"),
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


def fields_of_state(
    dataset: xr.Dataset, source: str, options: Options, times: np.ndarray | None, notes: list[str]
) -> Iterator[tuple[str, xr.DataArray]]:
    """Yield the short name of each field of a dataset with the field, on standard axes and in standard units.

    Parameters
    ----------
    dataset : Dataset
        As it is in the file.
    source, options, times, notes
        See `axes.standard_axes`.

    Raises
    ------
    ValueError
        If units are not understood, or if `axes.standard_axes` raises one.
    """
    dataset = with_coordinates(dataset)
    for short, aliases in ALIASES.items():
        names: list[Hashable] = [
            name for name in (short, VARIABLES.get(short, (short,))[0], *aliases) if name in dataset.data_vars
        ]
        by_standard_name = STANDARD_NAMES.get(short, ())
        names += [name for name, v in dataset.data_vars.items() if v.attrs.get("standard_name") in by_standard_name]
        names += [name for name, v in dataset.data_vars.items() if v.attrs.get("short_name") in (short, *aliases[:1])]
        for name in dict.fromkeys(names):
            field = standard_axes(dataset[name], source, options, times, notes)
            if field is None or ("level" in field.dims) != (short not in SURFACE):
                continue
            if name not in (short, VARIABLES.get(short, ("",))[0]):
                notes.append(f"found: {name} as {short}")
            origin = {key: field.attrs[key] for key in ("member", "expver")}
            yield short, _standard_units(field, short, name, source, notes).assign_attrs(origin)
            break


def _standard_units(field: xr.DataArray, short: str, name: Hashable, source: str, notes: list[str]) -> xr.DataArray:
    """Convert the field to the units of the state; conversions are noted."""
    expected = "%" if short == "r" else VARIABLES[short][2]
    units = str(field.attrs.get("units", "m" if name in _HEIGHTS else expected)).replace("**", "").replace("^", "")
    units = units.strip()
    if short == "z" and units in ("m", "gpm", "geopotential_meter"):
        notes.append(f"converted: z from geopotential height {name} in m, times {GRAVITY} m s-2")
        field = field * GRAVITY
        units = expected
    elif short == "msl" and units in ("hPa", "mb", "mbar", "millibars"):
        notes.append(f"converted: msl from {units} to Pa")
        field = field * 100.0
        units = expected
    elif short == "r" and units in ("1", "0-1"):
        notes.append("converted: r from a fraction to per cent")
        field = field * 100.0
        units = expected
    if units != expected and _UNITS.get(units.lower(), units) != expected:
        raise ValueError(f"{source}: {name} is in {units!r}, but must be in {expected!r}; convert it")
    return field.assign_attrs(units=expected)
