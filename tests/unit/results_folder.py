"""A small folder of results, as a run leaves it: what exports are made of."""

from datetime import UTC, datetime, timedelta

import numpy as np
from archive_files import plausible_states
from lora_envar.fields.grid import Grid
from lora_envar.fields.timeline import hours_since_1970, name
from lora_envar.files.state_file import write_forecast, write_states
from lora_envar.observations.catalogue import CODES
from lora_envar.observations.table import REASONS, Observations, write_observations

GRID = Grid("gaussian", 16, 32)
START = datetime(2022, 1, 31, 18, tzinfo=UTC)
LEADS = [24, 48]


def truth(time, grid=GRID):
    """The state of a time: plausible, and other than that of every other time."""
    return plausible_states((69, *grid.shape)) + np.float32(1e-4 * (hours_since_1970(time) - hours_since_1970(START)))


def cycle(number):
    return START + timedelta(hours=6 * number)


def analysed(time):
    return truth(time) + np.float32(0.25)


def forecast(start, lead):
    """Valid at start + lead, and worse the longer the lead."""
    return truth(start + timedelta(hours=lead)) + np.float32(lead / 24)


def table(time):
    """A sounding with two levels, a ship, an occultation, and data that are withheld, rejected or double."""
    rows = [
        # type, value, O - B, O - A, pressure, height, station, report type, minutes, reason
        ("t", 250.0, 2.0, 0.5, 500.0, np.nan, b"71082", 120, 30, "used"),
        ("q", 0.001, -1e-4, 1e-5, 500.0, np.nan, b"71082", 120, 30, "used"),
        ("u", -7.5, 3.25, 1.0, 500.0, np.nan, b"71082", 220, 30, "withheld"),
        ("z", 55000.0, 98.0665, 9.80665, 500.0, np.nan, b"71082", 120, 30, "used"),
        ("t", 270.0, np.nan, np.nan, 700.0, np.nan, b"71082", 120, 30, "quality_mark"),
        ("t", 271.0, -1.0, -0.5, 700.0, np.nan, b"71082", 120, 30, "used"),
        ("msl", 101325.0, 120.0, 60.0, np.nan, np.nan, b"SHIP", 180, -90, "used"),
        ("t2m", 285.0, 9.0, 8.0, np.nan, np.nan, b"SHIP", 180, -90, "background_check"),
        ("refractivity", 40.0, 0.5, 0.25, 110.0, 16000.0, b"G05", 745, 0, "used"),
        ("u10", 3.0, 1.0, 0.5, np.nan, np.nan, b"", 0, 0, "used"),
    ]
    columns = list(zip(*rows, strict=True))
    size = len(rows)
    return Observations.build(
        variable=[CODES[kind] for kind in columns[0]],
        value=columns[1],
        observation_minus_background=columns[2],
        observation_minus_analysis=columns[3],
        pressure=columns[4],
        height=columns[5],
        station=np.array(columns[6], "S8"),
        report_type=columns[7],
        time_offset=np.array(columns[8]) / 60,
        rejection=[REASONS[reason] for reason in columns[9]],
        time=np.full(size, hours_since_1970(time)),
        latitude=[50.0] * 6 + [-10.0] * 2 + [60.0, 0.0],
        longitude=[10.0] * 6 + [350.0] * 2 + [5.0, 0.0],
        elevation=[100.0] * 6 + [0.0] * 2 + [np.nan] * 2,
        error=[0.5, 5e-4, *[0.5] * (size - 2)],
        quality=[2] * 4 + [9] + [2] * 5,
    )


def write_results(folder, cycles=4, forecasts=(0, 2)):
    """`folder`/results with the experiment `hybrid` and the archive."""
    results = folder / "results"
    for number in range(cycles):
        time = cycle(number)
        path = results / "hybrid" / name(time)
        write_states(path / "analysis.nc", analysed(time)[None], [time], GRID)
        write_observations(path / "observations.nc", table(time))
        if number in forecasts:
            states = np.stack([forecast(time, lead) for lead in LEADS])
            write_forecast(path / "forecast.nc", states, time, LEADS, GRID)
    (results / "hybrid" / "scores").mkdir()
    times = [cycle(number) for number in range(cycles + 8)]
    for block in (times[:5], times[5:]):
        states = np.stack([truth(time) for time in block])
        write_states(results / "archive" / "states" / f"{name(block[0])[:8]}.nc", states, block, GRID)
    write_states(
        results / "archive" / "climatology.nc",
        truth(START)[None],
        [START],
        GRID,
        per_channel={"anomaly_standard_deviation": np.ones(69)},
    )
    return results
