"""Reports that tests of PrepBUFR write: rows that say only what matters, or a category with all it can hold."""

from datetime import UTC, datetime

import numpy as np
from lora_envar.example_world.prepbufr_tables import SEQUENCES, categories_of_one_level
from lora_envar.fields.constants import GRAVITY
from lora_envar.observations.prepbufr import COLUMNS, MISSING_MARK, VARIABLES, Reports

CYCLE = datetime(2022, 8, 24, 6, tzinfo=UTC)
T, U, V = (VARIABLES.index(name) for name in "tuv")

#: bits of a value that are lost by dividing and multiplying: a few units in the last place of the largest, 1e5
ROUNDING = 1e-10


def table(rows: list[dict]) -> Reports:
    """Reports of rows that say only what matters."""
    default = {
        "category": b"ADPUPA",
        "report_type": 120,
        "station": b"72000",
        "latitude": 40.0,
        "longitude": 250.0,
        "time_offset": -0.5,
        "elevation": 100.0,
        "level_category": 1,
        "pressure": 500.0,
        "variable": T,
        "value": 253.15,
        "error": np.nan,
        "quality": 2,
        "virtual": False,
    }
    columns = {name: np.array([(default | row)[name] for row in rows]) for name in COLUMNS}
    return Reports(cycle=CYCLE, **columns)


def random_reports(category: str, seed: int = 0, reports: int = 12) -> Reports:
    """Reports of a category with all it can hold, at the precision of the fields, some of it missing."""
    random = np.random.default_rng(seed)
    members = SEQUENCES[category][1]
    held = " ".join(members if "CAT" in members else SEQUENCES["PRSLEVEL"][1])
    rows = []
    # mass and wind are reports of their own, each with pressure
    for report_type, names in ((120, "pqtz"), (220, "puv")) * (reports // 2):
        names = [name for name in names if f"<{'W' if name in 'uv' else name.upper()}___INFO>" in held]
        number = len({row["station"] for row in rows})
        place = {
            "category": category.encode(),
            "report_type": report_type,
            "station": f"{category[:2]}{number:03d}".encode(),
            "latitude": random.integers(-9000000, 9000000) / 1e5,
            "longitude": random.integers(0, 36000000) / 1e5,
            "time_offset": random.integers(-300000, 300000) / 1e5,
            "elevation": [float(random.integers(-400, 5000)), np.nan][number % 5 == 1],
        }
        for level in range(1 if category in categories_of_one_level() else 2 + number):
            if category == "ADPUPA" and level:  # the balloon drifts
                place["latitude"] = round(place["latitude"] * 0.999, 5)
                place["time_offset"] = round(place["time_offset"] + 0.02, 5)
            pressure = np.nan if number % 6 == 2 else random.integers(1, 10500) / 10
            wind_mark, wind_error = random.integers(0, 16), random.integers(1, 99) / 10
            for name in names:
                if np.isnan(pressure) if name == "p" else random.random() < 0.2:
                    continue
                value, error = {
                    "p": (pressure * 100.0, random.integers(1, 999)),
                    "q": (random.integers(0, 30000) * 1e-6, np.nan),
                    "t": (random.integers(-2731, 800) / 10 + 273.15, random.integers(1, 99) / 10),
                    "z": (random.integers(-1000, 60000) * GRAVITY, np.nan),
                    "u": (random.integers(-4000, 4000) / 10, wind_error),
                    "v": (random.integers(-4000, 4000) / 10, wind_error),
                }[name]
                quality = wind_mark if name in "uv" else random.integers(0, 16)
                datum = {
                    "level_category": level % 7,
                    "pressure": pressure,
                    "variable": VARIABLES.index(name),
                    "value": value,
                    "error": np.nan if number % 4 == 3 else error,
                    "quality": MISSING_MARK if number % 4 == 2 else quality,
                }
                rows.append(place | datum)
    return table(rows)


def joined(parts) -> Reports:
    return Reports(CYCLE, **{name: np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS})


def assert_same(found: Reports, expected: Reports):
    assert len(found) == len(expected)
    for name in COLUMNS:
        one, other = getattr(found, name), getattr(expected, name)
        if one.dtype.kind == "f":
            # columns of single precision hold 24 bits
            bound = ROUNDING if one.dtype == np.float64 else 2.0**-24 * np.nanmax(np.abs(other), initial=1.0)
            np.testing.assert_allclose(one, other, rtol=0, atol=bound, err_msg=name)
        else:
            np.testing.assert_array_equal(one, other, err_msg=name)


def messages(path) -> list[bytes]:
    data, parts = path.read_bytes(), []
    while data:
        length = int.from_bytes(data[4:7], "big")
        parts.append(data[:length])
        data = data[length:]
    return parts
