"""Departures as files of IODA: value for value what is in our tables, by JEDI's names, units, signs and flags."""

from datetime import timedelta

import netCDF4
import numpy as np
import pytest
from lora_envar.command import main
from lora_envar.export.ioda import FILL, FLAGS, MISSING_FLAG, MISSING_TEXT, locations
from lora_envar.fields.timeline import name
from lora_envar.observations.catalogue import CODES, TYPES, name_of
from lora_envar.observations.heights import geometric_height
from lora_envar.observations.table import REASONS, REJECTIONS, Observations, read_observations, write_observations
from results_folder import START, cycle, table, write_results
from scipy.integrate import quad

GRAVITY = 9.80665
EPSILON = float(np.finfo(np.float32).eps)
FIRST = f"{START:%Y%m%d%H}"
#: names and units of share/ioda/yaml/validation/ObsSpace.yaml; it leaves those of refractivity open
CONVENTIONS = {
    "u10": ("windEastwardAt10M", "m s-1"),
    "v10": ("windNorthwardAt10M", "m s-1"),
    "t2m": ("airTemperatureAt2M", "K"),
    "msl": ("pressureReducedToMeanSeaLevel", "Pa"),
    "z": ("geopotentialHeight", "m"),
    "q": ("specificHumidity", "kg kg-1"),
    "u": ("windEastward", "m s-1"),
    "v": ("windNorthward", "m s-1"),
    "t": ("airTemperature", "K"),
    "refractivity": ("atmosphericRefractivity", "1e-6"),
}


@pytest.fixture
def results(tmp_path):
    return write_results(tmp_path, cycles=2, forecasts=())


def export(*paths, out):
    return main(["export", "--to", "ioda", *map(str, paths), "-o", str(out)])


@pytest.fixture
def folder(results, tmp_path):
    assert export(results / "hybrid", out=tmp_path / "ioda") == 0
    return tmp_path / "ioda"


def column(path, key):
    """A variable as it stands in the file, fill values included."""
    with netCDF4.Dataset(path) as dataset:
        dataset.set_auto_mask(False)
        return dataset[key][:]


def written(group, folder, time=FIRST):
    """All values of a group: (type, latitude, longitude, seconds, pressure) -> values."""
    types = {ioda: kind for kind, (ioda, _) in CONVENTIONS.items()}
    found = {}
    for path in folder.glob(f"*_obs_{time}.nc4"):
        with netCDF4.Dataset(path) as dataset:
            dataset.set_auto_mask(False)
            where = dataset["MetaData"]
            places = [where[key][:] for key in ("latitude", "longitude", "dateTime", "pressure")]
            for ioda, variable in dataset[group].variables.items():
                for row, value in enumerate(variable[:]):
                    if dataset["ObsValue"][ioda][row] != FILL["f4"]:
                        place = (types[ioda], *(float(places[key][row]) for key in range(4)))
                        found.setdefault(place, []).append(float(value))
    return found


def expected(values, time=START):
    """The same of a table, of values that a function gives of it."""
    given = table(time)
    found = {}
    for row, value in enumerate(values(given)):
        seconds = int(given.time[row]) * 3600 + round(float(given.time_offset[row]) * 3600)
        placed = np.isfinite(given.height[row]) or np.isnan(given.pressure[row])
        pressure = float(FILL["f4"]) if placed else float(given.pressure[row]) * 100
        place = (
            name_of(given.variable[row]),
            float(given.latitude[row]),
            float(given.longitude[row]),
            seconds,
            pressure,
        )
        found.setdefault(place, []).append(float(value))
    return found


def scaled(values, given):
    """In IODA's units: geopotential as height."""
    return np.where(given.variable == CODES["z"], values.astype(float) / GRAVITY, values)


GROUPS = {
    "ObsValue": lambda given: scaled(given.value, given),
    "ObsError": lambda given: scaled(given.error, given),
    "ombg": lambda given: scaled(given.observation_minus_background, given),
    "oman": lambda given: scaled(given.observation_minus_analysis, given),
    "hofx0": lambda given: scaled(given.value - given.observation_minus_background.astype(float), given),
    "hofx1": lambda given: scaled(given.value - given.observation_minus_analysis.astype(float), given),
}


@pytest.mark.parametrize("group", GROUPS)
def test_every_datum_is_there_once_in_the_units_of_ioda(folder, group):
    found = written(group, folder)
    wanted = expected(GROUPS[group])
    assert found.keys() == wanted.keys()
    for place, values in wanted.items():
        filled = np.where(np.isnan(values), FILL["f4"], values)
        # rounded once to float32
        np.testing.assert_allclose(sorted(found[place]), sorted(filled), rtol=EPSILON)


def test_departures_are_observations_less_background_and_analysis(folder):
    """oops: `ombg(yobs - yb_mean)`; a sounding that is warmer than the background has a positive one."""
    path = folder / f"sondes_obs_{FIRST}.nc4"
    observed = column(path, "ObsValue/airTemperature")
    before, after = column(path, "ombg/airTemperature"), column(path, "oman/airTemperature")
    assert observed[0] == 250.0 and before[0] == 2.0 and column(path, "hofx0/airTemperature")[0] == 248.0
    for departure, equivalent in ((before, "hofx0"), (after, "hofx1")):
        there = departure != FILL["f4"]
        rest = observed - column(path, f"{equivalent}/airTemperature") - departure
        assert there.sum() == 2
        # both are rounded, at the last digit of the larger
        assert (np.abs(rest[there]) <= 2 * EPSILON * np.abs(observed[there])).all()


def test_geopotential_is_exported_as_height(folder):
    path = folder / f"sondes_obs_{FIRST}.nc4"
    assert column(path, "ObsValue/geopotentialHeight")[0] == pytest.approx(55000.0 / GRAVITY, rel=EPSILON)
    assert column(path, "ombg/geopotentialHeight")[0] == pytest.approx(10.0, rel=EPSILON)


def test_data_of_one_place_time_and_height_share_a_location(folder):
    path = folder / f"sondes_obs_{FIRST}.nc4"
    # 500 hPa with t, q, u and z; 700 hPa twice, since two temperatures cannot share one
    assert column(path, "Location").tolist() == [0, 1, 2]
    assert column(path, "MetaData/pressure").tolist() == [50000.0, 70000.0, 70000.0]
    assert column(path, "ObsValue/airTemperature").tolist() == [250.0, 270.0, 271.0]
    assert (column(path, "ObsValue/windEastward") == [-7.5, FILL["f4"], FILL["f4"]]).all()
    assert column(path, "ObsType/airTemperature").tolist() == [120, 120, 120]
    assert column(path, "ObsType/windEastward").tolist() == [220, FILL["i4"], FILL["i4"]]
    assert column(path, "QualityMarker/airTemperature").tolist() == [2, 9, 2]


def test_locations_neither_split_nor_merge():
    """Of a table in any order: as many as different places, or as often as a variable is repeated there."""
    generator = np.random.default_rng(3)
    size = 400
    given = Observations.build(
        variable=generator.integers(0, 3, size),
        value=np.arange(size),
        latitude=generator.integers(0, 3, size),
        pressure=generator.choice([500.0, 700.0, np.nan], size),
        height=generator.choice([np.nan, 100.0], size),
        elevation=generator.choice([np.nan, 5.0], size),
        time_offset=generator.choice([0.0, 0.5], size),
    )
    location, first = locations(given)
    rows = [
        tuple(str(getattr(given, key)[row]) for key in ("latitude", "pressure", "height", "elevation", "time_offset"))
        for row in range(size)
    ]
    for number, row in enumerate(first):
        inside = np.flatnonzero(location == number)
        assert row == inside[0]
        assert {rows[index] for index in inside} == {rows[row]}
        assert len(set(given.variable[inside])) == len(inside)
    counts = {}
    for row, place in enumerate(rows):
        counts.setdefault(place, []).append(given.variable[row])
    assert len(first) == sum(max(map(kinds.count, kinds)) for kinds in counts.values())


def test_flags_say_what_was_used(folder):
    def of(group):
        return written(group, folder)

    wanted = expected(lambda given: given.rejection)
    for place, reasons in wanted.items():
        passed = [0.0 if REJECTIONS[int(code)] in ("used", "withheld") else code for code in reasons]
        assert sorted(of("PreQC")[place]) == sorted(passed)
        flags = [float(FLAGS[REJECTIONS[int(code)]]) for code in reasons]
        assert sorted(of("EffectiveQC0")[place]) == sorted(of("EffectiveQC1")[place]) == sorted(flags)
    path = folder / f"sondes_obs_{FIRST}.nc4"
    assert column(path, "EffectiveQC0/windEastward").tolist() == [1, MISSING_FLAG, MISSING_FLAG]
    assert column(path, "PreQC/windEastward").tolist() == [0, FILL["i4"], FILL["i4"]]
    assert column(path, "EffectiveQC0/airTemperature").tolist() == [0, 11, 0]
    assert column(folder / f"sfcship_obs_{FIRST}.nc4", "EffectiveQC0/airTemperatureAt2M").tolist() == [19]


def test_every_reason_has_a_flag_and_that_of_used_data_is_zero_alone():
    assert FLAGS.keys() == REASONS.keys()
    assert [reason for reason, flag in FLAGS.items() if flag == 0] == ["used"]
    assert [reason for reason, flag in FLAGS.items() if flag == 1] == ["withheld", "denied"]
    assert MISSING_FLAG not in FLAGS.values()


def test_types_have_the_names_and_units_of_the_conventions():
    assert {kind.name: (kind.ioda.name, kind.ioda.units) for kind in TYPES.values()} == CONVENTIONS


def test_reports_go_to_the_space_of_their_family(folder):
    spaces = {path.name.partition("_obs_")[0] for path in folder.iterdir()}
    assert spaces == {"sondes", "sfcship", "gnssro", "surface"}
    assert len(list(folder.iterdir())) == 2 * len(spaces), "of two cycles"


def test_where_and_when_data_are(folder):
    ship = folder / f"sfcship_obs_{FIRST}.nc4"
    with netCDF4.Dataset(ship) as dataset:
        when = netCDF4.num2date(
            dataset["MetaData/dateTime"][0], "seconds since 1970-01-01", only_use_cftime_datetimes=False
        )
        assert dataset["MetaData/dateTime"].units == "seconds since 1970-01-01T00:00:00Z"
        assert when == (START - timedelta(minutes=90)).replace(tzinfo=None), "an hour and a half before the cycle"
        assert dataset["MetaData/stationIdentification"][0] == "SHIP"
        assert dataset.datetimeReference == f"{START:%Y-%m-%dT%H}:00:00Z"
        assert dataset._ioda_layout == "ObsGroup" and dataset.experiment == "hybrid"
    assert column(ship, "MetaData/pressure").tolist() == [FILL["f4"]]
    assert column(folder / f"surface_obs_{FIRST}.nc4", "MetaData/stationIdentification")[0] == MISSING_TEXT
    occultation = folder / f"gnssro_obs_{FIRST}.nc4"
    assert column(occultation, "MetaData/pressure").tolist() == [FILL["f4"]], "it was that of the standard atmosphere"
    assert column(occultation, "MetaData/geopotentialHeight").tolist() == [16000.0]
    assert 16000.0 < column(occultation, "MetaData/height")[0] < 16050.0
    assert column(occultation, "ObsValue/atmosphericRefractivity").tolist() == [40.0]


def test_heights_have_the_work_against_gravity_that_their_geopotential_is():
    """g H is the integral of normal gravity, which falls with the square of the distance from a centre."""
    for latitude, gravity in ((0.0, 9.7803253359), (90.0, 9.8321849378)):
        low, high = geometric_height(np.array([1.0, 30000.0]), np.array([latitude, latitude]))
        assert GRAVITY / low == pytest.approx(gravity, rel=1e-6), "at the ground"
        # the centre that the gradient of gravity at the ground implies: 2 gamma / R = 3.0877e-6 s-2
        radius = 2 * gravity / 3.0877e-6
        work, _ = quad(lambda height, ground, radius: ground * (1 + height / radius) ** -2, 0, high, (gravity, radius))
        assert work / GRAVITY == pytest.approx(30000.0, abs=2.0)


def test_files_hold_fill_values_and_no_nan_and_are_the_same_bytes(folder, results, tmp_path):
    assert export(results / "hybrid", out=tmp_path / "again") == 0
    assert export(results / "hybrid", out=folder) == 0, "an export may be replaced"
    for path in folder.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()
        with netCDF4.Dataset(path) as dataset:
            dataset.set_auto_mask(False)
            for group in dataset.groups.values():
                for key, variable in group.variables.items():
                    assert "_FillValue" in variable.ncattrs(), key
                    assert variable.dimensions == ("Location",)
                    if variable.dtype != str and variable.dtype.kind == "f":
                        assert np.isfinite(variable[:]).all()
                        assert variable.units
    assert FILL["f4"] == np.float32(-3.3687953e38) and FILL["i4"] == -2147483643


def test_a_type_without_a_name_is_refused_by_name(results, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(type(TYPES["refractivity"]), "ioda", None)
    assert export(results / "hybrid", out=tmp_path / "ioda") == 1
    error = capsys.readouterr().err
    assert "observations.nc: refractivity has no name in IODA, so nothing is written" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "ioda").exists()


def test_a_half_made_run_is_exported_and_what_it_lacks_is_named(results, tmp_path, capsys):
    (results / "hybrid" / name(cycle(1)) / "observations.nc").unlink()
    assert export(results / "hybrid", out=tmp_path / "ioda") == 0
    said = capsys.readouterr().out
    assert f"hybrid: observations.nc is missing at 1 of 2 times, which are left out: {name(cycle(1))}" in said
    assert "cycles: 1, data: 1 of gnssro, 2 of sfcship, 6 of sondes, 1 of surface" in said
    (results / "hybrid" / name(START) / "observations.nc").unlink()
    assert export(results / "hybrid", out=tmp_path / "none") == 1
    assert "none of its 2 cycles has an observations.nc yet" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_a_cycle_without_data_has_no_files(results, tmp_path):
    path = results / "hybrid" / name(START) / "observations.nc"
    write_observations(path, read_observations(path).select(np.zeros(0, dtype=int)))
    assert export(results / "hybrid", out=tmp_path / "ioda") == 0
    assert {file.stem.rpartition("_")[2] for file in (tmp_path / "ioda").iterdir()} == {f"{cycle(1):%Y%m%d%H}"}


def test_an_export_that_was_killed_is_made_anew(results, folder):
    left = folder / f".sondes_obs_{FIRST}.nc4.1.part"
    left.write_bytes(b"half")
    (folder / f"sondes_obs_{FIRST}.nc4").unlink()
    assert export(results / "hybrid", out=folder) == 0
    assert not left.exists() and (folder / f"sondes_obs_{FIRST}.nc4").exists()


def test_folders_of_others_are_left_alone(results, tmp_path, folder, capsys):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("By hand.\n")
    (results / "hybrid").rename(results / "other")
    for out, said in (
        (tmp_path / "notes", "notes has a.txt in it, which is not an export"),
        (tmp_path / "notes" / "a.txt", "a.txt is a file (text); name a folder after -o"),
        (results, "which is not an export"),
        (results / "other" / name(START), "has analysis.nc in it, which is not an export"),
        (folder, f"has gnssro_obs_{FIRST}.nc4 in it, which is an export of hybrid; name another folder"),
    ):
        assert export(results / "other", out=out) == 1
        assert said in capsys.readouterr().err
    assert (tmp_path / "notes" / "a.txt").read_text() == "By hand.\n"


def test_show_says_what_an_export_is(folder, capsys):
    assert main(["show", str(folder / f"sondes_obs_{FIRST}.nc4"), "-o", str(folder / "x.png")]) == 1
    assert "is an export for JEDI" in capsys.readouterr().err
