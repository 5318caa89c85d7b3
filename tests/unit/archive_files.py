"""Files of a reanalysis that tests of the archive write: small, plausible, and every value says where it belongs."""

from datetime import UTC, datetime

import numpy as np
import xarray as xr
from lora_envar.archive.completeness import refuse_incomplete
from lora_envar.archive.layout import Options, own_grid, stack, standard_dataset, utc_times
from lora_envar.fields.grid import Grid
from lora_envar.fields.state import CHANNELS, LEVELS, SURFACE, UPPER_AIR, VARIABLES

GRID = Grid("equiangular", 7, 12)
#: the same in the keys of GRIB
GRIB_GRID = {
    "Ni": GRID.nlon,
    "Nj": GRID.nlat,
    "latitudeOfFirstGridPointInDegrees": 90.0,
    "latitudeOfLastGridPointInDegrees": -90.0,
    "longitudeOfFirstGridPointInDegrees": 0.0,
    "longitudeOfLastGridPointInDegrees": 330.0,
    "iDirectionIncrementInDegrees": 30.0,
    "jDirectionIncrementInDegrees": 30.0,
}
TIMES = [datetime(2022, 1, 1, hour, tzinfo=UTC) for hour in (0, 6)]
STAMPS = np.array([time.replace(tzinfo=None) for time in TIMES], dtype="datetime64[ns]")
#: short name -> mean and standard deviation of what is written; of z the mean is that of a scale height of 7 km
VALUES = {
    "u10": (0.0, 1.0),
    "v10": (0.0, 1.0),
    "t2m": (280.0, 1.0),
    "msl": (1e5, 100.0),
    "z": (None, 10.0),
    "q": (1e-5, 1e-6),
    "u": (0.0, 1.0),
    "v": (0.0, 1.0),
    "t": (250.0, 1.0),
}
SPREAD = np.array([VALUES[channel.variable][1] for channel in CHANNELS])[:, None, None]


def dataset(names="long", stamps=STAMPS):
    """A dataset whose every value says which field, time and place it is."""
    random = np.random.default_rng(5)
    coordinates = {"time": stamps, "level": list(LEVELS), "latitude": GRID.latitude, "longitude": GRID.longitude}
    variables = {}
    for short, (long, _, units) in VARIABLES.items():
        dimensions = (
            ("time", "latitude", "longitude") if short in SURFACE else ("time", "level", "latitude", "longitude")
        )
        shape = [len(coordinates[name]) for name in dimensions]
        mean, spread = VALUES[short]
        if mean is None:
            mean = 9.80665 * 7000 * np.log(1013.25 / np.array(LEVELS))[:, None, None]
        values = mean + spread * random.normal(size=shape)
        variables[long if names == "long" else short] = (dimensions, values, {"units": units})
    return xr.Dataset(variables, coordinates)


def states_from_dataset(dataset, source, derive=()):
    """Times, grid, and states of a dataset, as the rules make them of their files."""
    options = Options(tuple(derive))
    standard, notes = standard_dataset([(source, dataset)], options)
    refuse_incomplete(standard, source, options, notes)
    return utc_times(standard, source), own_grid(standard, source), stack(standard, source, options.derive)


def reference(stamps=STAMPS):
    return states_from_dataset(dataset(stamps=stamps), "reference")[2]


def assert_same(found, expected, of_spread=2e-6):
    """States that differ by rounding alone: of 24 bits of the spread, as in GRIB, and of float32."""
    allowed = of_spread * SPREAD + 1e-6 * np.abs(expected)
    worst = (np.abs(found - expected) / allowed).max(axis=(0, 2, 3))
    assert (worst <= 1).all(), {c.name: float(w) for c, w in zip(CHANNELS, worst, strict=True) if not w <= 1}


def write_grib(target, whole, names, append=False, **keys):
    """Write fields of a dataset of `dataset("short")` as GRIB 1 on `GRID`, with any keys set besides.

    ``hours`` (of each field, before its valid time) gives the base time, and the step with it.
    """
    import eccodes

    grib = {"u10": (165, 0), "v10": (166, 0), "t2m": (167, 0), "msl": (151, 0)}
    grib |= {"z": (129, 1), "q": (133, 1), "u": (131, 1), "v": (132, 1), "t": (130, 1)}
    step = keys.pop("step", 0)
    with open(target, "ab" if append else "wb") as file:
        for name in names:
            for stamp in whole.time.values:
                base = (stamp - np.timedelta64(step, "h")).astype("datetime64[s]").item()
                for level in LEVELS if name in UPPER_AIR else [0]:
                    handle = eccodes.codes_grib_new_from_samples("regular_ll_sfc_grib1")
                    field = whole[name].sel(time=stamp)
                    field = field.sel(level=level) if name in UPPER_AIR else field
                    wanted = {
                        **GRIB_GRID,
                        "dataDate": int(f"{base:%Y%m%d}"),
                        "dataTime": base.hour * 100,
                        "table2Version": 128,
                        "indicatorOfParameter": grib[name][0],
                        "bitsPerValue": 24,
                        **({"step": step} if step else {}),
                        **keys,
                    }
                    for key, value in wanted.items():
                        eccodes.codes_set(handle, key, value)
                    if name in UPPER_AIR:
                        eccodes.codes_set(handle, "indicatorOfTypeOfLevel", 100)
                        eccodes.codes_set(handle, "level", level)
                    eccodes.codes_set_values(handle, field.values.ravel())
                    eccodes.codes_write(handle, file)
                    eccodes.codes_release(handle)


def plausible_states(shape):
    """States, (..., 69, lat, lon) of a shape, whose values the atmosphere may have."""
    means = []
    for channel in CHANNELS:
        mean = VALUES[channel.variable][0]
        means.append(9.80665 * 7000 * np.log(1013.25 / channel.level) if mean is None else mean)
    noise = np.random.default_rng(5).standard_normal(shape)
    return (np.array(means)[:, None, None] + SPREAD * noise).astype(np.float32)
