"""Values that cannot be the atmosphere's are refused, by name, with what they look like."""

import numpy as np
import pytest
import torch
from archive_files import GRID, STAMPS, dataset
from conftest import ROOT, prepared
from lora_envar.archive import SOURCES
from lora_envar.archive.layout import Options
from lora_envar.archive.plausibility import plausible_range, refuse_implausible
from lora_envar.archive.prepare import read_states
from lora_envar.example_world.nature import NATURE_GRID, NATURE_TRUNCATION
from lora_envar.example_world.packed import read_coefficients
from lora_envar.fields.harmonics import SphericalHarmonics
from lora_envar.fields.state import CHANNELS, LEVELS, SURFACE
from lora_envar.fields.timeline import from_hours


def hidden_units(short, function):
    """The dataset with values of one variable changed and its units not said."""
    changed = dataset("short")
    changed[short] = function(changed[short]).drop_attrs()
    return changed


def filled(value):
    def function(field):
        field = field.copy()
        field[1, ..., 2, 3] = value
        return field

    return function


@pytest.mark.parametrize(
    ("short", "function", "name", "looks_like"),
    [
        ("msl", lambda msl: msl / 100, "msl", "hPa"),
        ("msl", lambda msl: msl / 1000, "msl", "kPa"),
        ("msl", lambda msl: msl * 100, "msl", "Pa in a file that says hPa"),
        ("t", lambda t: t - 273.15, "t50", "degrees Celsius"),
        ("t2m", lambda t: t - 273.15, "t2m", "degrees Celsius"),
        ("t2m", lambda t: (t - 273.15) * 1.8 + 62, "t2m", "degrees Fahrenheit"),
        ("q", lambda q: q * 1e3, "q50", "g kg-1"),
        ("z", lambda z: z / 9.80665, "z50", "geopotential height in m"),
        ("z", lambda z: z / 98.0665, "z50", "geopotential height in dam"),
        ("z", lambda z: z * 9.80665, "z50", "geopotential in m2 s-2, in a file that says height"),
        ("u", lambda u: 0 * u + 3000.0 + u, "u50", "cm s-1"),
        ("t", filled(-32767.0), "t50", "-32767 looks like a fill value"),
        ("u", filled(9.96921e36), "u50", "9.96921e[+]36 looks like a fill value"),
        ("v10", filled(-9999.0), "v10", "-9999 looks like a fill value"),
        ("t2m", lambda t: 0 * t, "t2m", "a field without data, because it is 0 everywhere"),
    ],
)
def test_wrong_units_and_fill_values_are_refused(tmp_path, short, function, name, looks_like):
    path = tmp_path / "some.nc"
    # without a declared fill value xarray would add NaN as one
    hidden_units(short, function).to_netcdf(path, encoding={short: {"_FillValue": None}})
    at = "2022-01-01T06" if "fill" in looks_like else "2022-01-01T00"
    for read in (lambda: read_states([path]), lambda: prepared(path, GRID, None)):
        with pytest.raises(ValueError, match=rf"some\.nc: {name} at {at} has values from .*{looks_like}"):
            read()


def test_what_is_derived_is_not_blamed(tmp_path):
    """Temperature in Celsius makes the derived t2m and msl wrong too; the file has t."""
    hidden_units("t", lambda t: t - 273.15).drop_vars(list(SURFACE)).to_netcdf(tmp_path / "some.nc")
    with pytest.raises(ValueError, match=r"some\.nc: t50 at .*looks like degrees Celsius"):
        read_states([tmp_path / "some.nc"], options=Options(derive=SURFACE))


def test_a_relative_humidity_that_is_a_fraction_is_refused(tmp_path):
    humid = dataset("short").drop_vars("q")
    humid["r"] = (0 * humid["t"] + 0.5).drop_attrs()
    humid.to_netcdf(tmp_path / "some.nc")
    with pytest.raises(ValueError, match=r"r has values from 0\.5 to 0\.5.*looks like a fraction"):
        read_states([tmp_path / "some.nc"])


def test_every_channel_outside_of_its_range_is_refused():
    """The range of each channel is looked at, at either end, and no other channel's."""
    middle = np.array([sum(plausible_range(channel)) / 2 for channel in CHANNELS], np.float32)
    states = np.broadcast_to(middle[None, :, None, None], (2, 69, 3, 4)).copy()
    refuse_implausible(states, STAMPS, "some file")
    for index, channel in enumerate(CHANNELS):
        for limit in plausible_range(channel):
            broken = states.copy()
            broken[1, index, 1, 2] = limit + 1.01 * (limit - middle[index])
            with pytest.raises(
                ValueError, match=rf"some file: {channel.name} at 2022-01-01T06 .* 1 of 12 are not within"
            ):
                refuse_implausible(broken, STAMPS, "some file")


def test_the_example_s_world_passes():
    """Its states of both periods, which ring below 0 in humidity and have 177 K at 50 hPa."""
    harmonics = SphericalHarmonics(NATURE_GRID, NATURE_TRUNCATION)
    for name in ("archive.nc", "archive_hourly.nc"):
        times, coefficients = read_coefficients(ROOT / "resources" / "example" / name)
        for first in range(0, len(times), 100):
            states = harmonics.synthesise(coefficients[first : first + 100]).numpy()
            refuse_implausible(states, times[first : first + 100].astype("datetime64[ns]"), name)


def test_the_example_is_prepared_as_it_was_made(tmp_path):
    times, coefficients = read_coefficients(ROOT / "resources" / "example" / "archive.nc")
    wanted = [from_hours(int(hours)) for hours in times[:2].astype("int64")]
    SOURCES["example"].fetch({"path": str(ROOT / "resources" / "example" / "archive.nc")}, wanted, tmp_path / "raw.nc")
    harmonics = SphericalHarmonics(NATURE_GRID, NATURE_TRUNCATION)
    expected = harmonics.synthesise(coefficients[torch.arange(2)]).numpy()
    times, states = prepared(tmp_path / "raw.nc", NATURE_GRID, None)
    assert times == wanted
    np.testing.assert_array_equal(states, expected)


def test_real_states_pass(shared_data):
    """ERA5, ERA5's ensemble, ECMWF's forecasts with relative humidity, ERA-Interim."""
    assert not read_states([shared_data / "era5_tl31_19590102T00.nc"], options=Options(derive=SURFACE)).missing
    read_states([shared_data / "era5-levels-members.grib"], options=Options(member=0), partial=True)
    read_states(
        [shared_data / "earthkit_pl_regular_ll.grib"],
        options=Options(derive=SURFACE, interpolate_levels=True),
        partial=True,
    )
    found = read_states([shared_data / f"erai_2005-01-23-0000-{short}.nc" for short in "tuv"], partial=True)
    assert np.isfinite(found.fields[:, -1]).all()


def test_ranges_hold_records_and_the_standard_atmosphere():
    """What has been measured must pass; a range that holds all of it and no more is known by its limits."""
    ranges = {channel.name: plausible_range(channel) for channel in CHANNELS}
    records = {"t2m": (184.0, 329.9), "msl": (87000.0, 108480.0), "u10": (-113.0, 113.0), "u200": (-115.7, 115.7)}
    for name, values in records.items():
        assert all(ranges[name][0] < value < ranges[name][1] for value in values), name
    for level in LEVELS:
        # of the ICAO standard atmosphere: 6.5 K a km up to 226.32 hPa, 216.65 K above (scale height 6341.6 m)
        troposphere = 44330.8 * (1 - (level / 1013.25) ** 0.190263)
        height = troposphere if level > 226.32 else 11000 + 6341.6 * np.log(226.32 / level)
        low, high = (limit / 9.80665 for limit in ranges[f"z{level}"])
        assert low == pytest.approx(0.78 * height - 1200, abs=5) and high == pytest.approx(1.15 * height + 800, abs=5)
    # 500 hPa lies between 4600 m (polar lows) and 6050 m (subtropical highs)
    assert ranges["z500"][0] < 4600 * 9.80665 and ranges["z500"][1] > 6050 * 9.80665


def test_missing_fields_are_not_looked_at():
    states = np.full((1, 69, 3, 4), np.nan, np.float32)
    refuse_implausible(states, STAMPS[:1], "some file")
