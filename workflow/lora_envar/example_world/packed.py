"""States as spherical-harmonic coefficients in one netCDF file: exact (float32), or packed for shipping.

Packing keeps, per channel and total wavenumber, the time mean exactly and the anomaly as a multiple of a step of 2 % of
its standard deviation: a rounding error of 0.6 % of the anomaly at every scale, and about one byte per coefficient.
"""

from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import torch

from ..archive.valid_times import whole_hours
from ..fields.grid import Grid
from ..fields.harmonics import SphericalHarmonics
from ..fields.state import NAMES
from ..files.atomic import atomic_write
from ..files.kinds import NETCDF4, kind_of
from ..files.netcdf import CHANNEL_NAMES, coordinate, provenance, write_channel_names

#: of packed numbers, over the standard deviation
STEP = 0.02
EPOCH = np.datetime64("1970-01-01", "h")
_DEFLATED: dict[str, Any] = {"compression": "zlib", "complevel": 9}


def write_coefficients(
    path: str | Path,
    times: np.ndarray,
    coefficients: torch.Tensor,
    packed: bool = False,
    attributes: dict[str, Any] | None = None,
) -> None:
    """Write coefficients of shape (time, 69, (T + 1)^2) valid at `times` (datetime64) to a netCDF-4 file.

    Parameters
    ----------
    path : path
    times : (time,)
    coefficients : (time, 69, (T + 1)^2)
    packed : bool
        Whether they are packed, see the module.
    attributes : dict, optional
        Global attributes in addition to those of `provenance`.

    Raises
    ------
    ValueError
        If a time is not a whole hour.
    """
    whole_hours(times, str(path))
    values = coefficients.numpy()
    with atomic_write(path) as temporary, netCDF4.Dataset(temporary, "w") as dataset:
        kind = "packed" if packed else "exact"
        title = f"States as spherical-harmonic coefficients, {kind}"
        dataset.setncatts(provenance(**({"title": title} | (attributes or {}))))
        for name, size in zip(("channel", "coefficient"), values.shape[1:], strict=True):
            dataset.createDimension(name, size)
        coordinate(
            dataset,
            "time",
            (times.astype("datetime64[h]") - EPOCH).astype(np.int64),
            "i8",
            units="hours since 1970-01-01",
            calendar="proleptic_gregorian",
            standard_name="time",
        )
        write_channel_names(dataset)
        dimensions = ("time", "channel", "coefficient")
        if not packed:
            _variable(dataset, "coefficients", "f4", dimensions, values, "coefficients in the units of the channel")
            return
        degree = _degree(values.shape[-1])
        mean = values.mean(axis=0, dtype=np.float64).astype(np.float32)
        variance = ((values - mean) ** 2).mean(axis=0, dtype=np.float64)
        per_degree = np.stack([variance[:, degree == wave].mean(axis=-1) for wave in range(degree.max() + 1)], axis=-1)
        step = (STEP * np.sqrt(per_degree) + 1e-30).astype(np.float32)
        dataset.createDimension("total_wavenumber", step.shape[-1])
        _variable(dataset, "mean", "f4", dimensions[1:], mean, "mean of the coefficients over time", **_DEFLATED)
        _variable(dataset, "step", "f4", ("channel", "total_wavenumber"), step, "by what packed numbers are multiplied")
        # one byte plane where anomalies stay within 2.5 standard deviations, which shuffling separates from the other
        whole_numbers = np.rint((values - mean) / step[:, degree]).astype(np.int16)
        chunks = (min(40, len(values)), *values.shape[1:])
        about = "coefficients less their mean, in steps"
        _variable(
            dataset, "packed", "i2", dimensions, whole_numbers, about, shuffle=True, chunksizes=chunks, **_DEFLATED
        )


def _variable(
    dataset: netCDF4.Dataset,
    name: str,
    kind: str,
    dimensions: tuple[str, ...],
    values: np.ndarray,
    long_name: str,
    **options: Any,
) -> None:
    variable = dataset.createVariable(name, kind, dimensions, **options)
    variable.long_name = long_name
    variable[:] = values


def read_coefficients(path: str | Path) -> tuple[np.ndarray, torch.Tensor]:
    """Times (datetime64[h]) and coefficients, float32 of shape (time, 69, (T + 1)^2), of either form of file.

    Raises
    ------
    ValueError
        If the file is missing, is not netCDF, or has other contents.
    """
    try:
        kind, advice = kind_of(path)
    except OSError as error:
        raise ValueError(f"{path} cannot be opened ({error.strerror or error})") from error
    if kind != NETCDF4:
        raise ValueError(f"{path} is {kind}, but must be a packed archive in netCDF; {advice or 'name another file'}")
    try:
        return _read(path)
    except (OSError, IndexError, RuntimeError) as error:
        raise ValueError(f"{path} is damaged, or is not a packed archive ({error}); make it again") from error


def _read(path: str | Path) -> tuple[np.ndarray, torch.Tensor]:
    with netCDF4.Dataset(path) as dataset:
        dataset.set_auto_mask(False)
        # files that ship have the names in a variable of the dimension's own name
        names = tuple(dataset[CHANNEL_NAMES if CHANNEL_NAMES in dataset.variables else "channel"][:])
        if names != NAMES:
            raise ValueError(f"{path}: its channels are not the 69 of the state; make it again")
        times = EPOCH + dataset["time"][:].astype("timedelta64[h]")
        if "coefficients" in dataset.variables:
            return times, torch.from_numpy(dataset["coefficients"][:])
        mean = dataset["mean"][:]
        step = dataset["step"][:]
        values = dataset["packed"][:].astype(np.float32)
        values *= step[:, _degree(values.shape[-1])]
        values += mean
        return times, torch.from_numpy(values)


def _degree(size: int) -> np.ndarray:
    """Total wavenumber of each of `size` coefficients, in the order of `SphericalHarmonics`."""
    truncation = round(size**0.5) - 1
    return SphericalHarmonics(Grid("gaussian", truncation + 1, 2 * truncation + 2), truncation).degree.numpy()
