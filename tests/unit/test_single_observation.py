"""Single observations: how they are written, which errors they have, which are planned, and their files."""

from datetime import UTC, datetime

import netCDF4
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from lora_envar.analysis.increments import Increments, joined, read_increments, write_increments
from lora_envar.analysis.single import Response, with_errors
from lora_envar.command import main
from lora_envar.fields.grid import Grid
from lora_envar.fields.state import LEVELS, NAMES, channel_index
from lora_envar.observations.catalogue import CODES
from lora_envar.observations.error_table import ErrorTable
from lora_envar.observations.single import SingleObservation, assumed_error, parse_single
from lora_envar.observations.table import Observations
from lora_envar.plan.completion import ConfigurationError
from lora_envar.plan.experiments import PlanError
from lora_envar.plan.plan import Plan
from lora_envar.plan.replicates import expand, with_networks
from lora_envar.plan.single import DEFAULT, check_single_observations
from lora_envar.verification.single_figure import single_observation

GRID = Grid("gaussian", 16, 32)
TIMES = [datetime(2009, 5, day, 6, tzinfo=UTC) for day in (1, 2)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("z500@45N,0E+100", SingleObservation("z", 500.0, 45.0, 0.0, 100.0)),
        ("u250@35.5S,150.25W-5", SingleObservation("u", 250.0, -35.5, 209.75, -5.0)),
        ("q700@0N,180E+1e-3", SingleObservation("q", 700.0, 0.0, 180.0, 1e-3)),
        ("t852.5@90S,360E", SingleObservation("t", 852.5, -90.0, 0.0)),
        ("t2m@10n,20w-1.5", SingleObservation("t2m", None, 10.0, 340.0, -1.5)),
        ("u10@10N,20E+2", SingleObservation("u10", None, 10.0, 20.0, 2.0)),
        ("msl@60S,0E", SingleObservation("msl", None, -60.0, 0.0)),
    ],
)
def test_an_observation_is_read_and_written_back(text, expected):
    observation = parse_single(text)
    assert observation == expected
    assert parse_single(str(observation)) == observation


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("z500", "no @"),
        ("z500@45,0E+100", "'45,0E\\+100' is not a place"),
        ("z500@45N", "'45N' is not a place"),
        ("z500@N45,E0", "is not a place"),
        ("z500@45N,0E,+100", "',\\+100' is not a departure"),
        ("z500@45N,0E100", "'100' is not a departure"),
        ("z500@45N,0E+nan", "'\\+nan' is not a departure"),
        ("z500@45N,0E+0", "departure of zero"),
        ("z500@91N,0E", "latitude 91 is beyond the poles"),
        ("z500@45N,361E", "longitude 361 is more than"),
        ("z40@45N,0E", "40 hPa is outside the levels"),
        ("z1013@45N,0E", "1013 hPa is outside the levels"),
        ("z@45N,0E", "'z' is not a variable"),
        ("msl500@45N,0E", "'msl500' is not a variable"),
        ("refractivity500@45N,0E", "is not a variable"),
        ("@45N,0E", "'' is not a variable"),
    ],
)
def test_what_is_none_is_named_with_an_example(text, found):
    with pytest.raises(ValueError, match=found) as error:
        parse_single(text)
    assert repr(text) in str(error.value)
    assert "write it as z500@45N,30W+100" in str(error.value)
    parse_single("z500@45N,30W+100")


def test_every_channel_can_be_observed():
    for name in NAMES:
        assert parse_single(f"{name}@1N,2E").channel == name


def network(variable, pressure, error):
    return Observations.build(
        variable=[CODES[variable]] * len(error),
        pressure=pressure,
        latitude=np.zeros(len(error)),
        longitude=np.zeros(len(error)),
        value=np.zeros(len(error)),
        error=error,
    )


def test_the_error_is_the_median_of_the_nearest_level_with_data():
    table = network("z", [500, 490, 510, 300, 850, 850], [1, 2, 9, 50, 7, 8])
    for text, expected in (("z500", 2.0), ("z300", 50.0), ("z250", 50.0), ("z1000", 7.5), ("z545", 2.0)):
        assert assumed_error(table, parse_single(f"{text}@0N,0E")) == expected
    assert assumed_error(table, parse_single("t500@0N,0E")) is None
    surface = network("t2m", [np.nan] * 3, [1, 3, 8])
    assert assumed_error(surface, parse_single("t2m@0N,0E")) == 3.0


def test_without_data_the_error_is_the_table_s():
    path = ROOT / "resources" / "observation_errors.csv"
    table = pd.read_csv(path)
    observations = [parse_single("z500@0N,0E"), parse_single("t2m@0N,0E"), parse_single("u500@0N,0E")]
    found = with_errors(observations, network("u", [500], [3]), ErrorTable(path))
    z500 = table[(table.variable == "z") & (table.pressure == 500)].error.item()
    t2m = table[table.variable == "t2m"].error.item()
    assert found == [(observations[0], z500), (observations[1], t2m), (observations[2], 3.0)]


# the plan


def planned(config):
    with_networks(config)
    expand(config)
    check_single_observations(config)
    return Plan(config)


def test_the_middle_and_the_last_common_cycle_are_shown(config):
    config["experiments"]["3dvar"]["period"] = ["2009-04-27T00", "2009-05-01T12"]
    single = planned(config).verification.single
    # from 2009-04-27T00 to 2009-05-01T12 there are 19 cycles, of which the tenth is the middle
    assert single.times == ["20090429T06", "20090501T12"]
    assert [experiment.name for experiment in single.experiments] == [
        name for name in config["experiments"] if name != "no_assimilation"
    ]
    assert single.texts == list(DEFAULT)
    figures = planned(config).verification.single.figures
    assert figures[:2] == [
        "results/figures/single_observation_z500_45N_30W_20090429T06.png",
        "results/figures/single_observation_z500_45N_30W_20090501T12.png",
    ]
    assert len(figures) == 6


def test_of_replicates_the_first_is_shown(config):
    entry = config["experiments"]["3dvar"]
    del entry["seed"]
    entry["seeds"] = [3, 1]
    names = [experiment.name for experiment in planned(config).verification.single.experiments]
    assert [name for name in names if name.startswith("3dvar")] == ["3dvar_seed_3"]


def test_without_common_cycles_or_observations_there_is_no_figure(config):
    config["verification"]["single_observations"] = []
    assert planned(config).verification.single.figures == []
    del config["verification"]["single_observations"]
    config["experiments"]["3dvar"]["period"] = ["2009-05-03T00", "2009-05-05T18"]
    plan = planned(config)
    assert plan.verification.single.figures == []
    assert plan.verification.single.times == []
    with pytest.raises(PlanError, match="no cycle in common"):
        plan.single_observation_files("3dvar")


def test_the_files_are_those_of_the_analysis_but_for_checks_and_windows(config):
    plan = planned(config)
    inputs = plan.single_observation_inputs("latent_lora", ["20090501T06"])["20090501T06"]
    folder = "results/latent_lora"
    assert inputs["background"] == f"{folder}/20090501T06/background.nc"
    assert inputs["amplitudes"] == f"{folder}/20090501T00/amplitudes.csv"
    assert inputs["finetuned"] == f"{folder}/20090501T06/adapters.safetensors"
    assert {**plan.analysis_inputs("latent_lora", "20090501T06"), "background": inputs["background"]} == inputs
    members = plan.single_observation_inputs("hybrid", ["20090501T06"])["20090501T06"]["members"]
    assert len(members) == 8


def test_what_has_no_increment_is_refused(config):
    plan = planned(config)
    with pytest.raises(PlanError, match="no_assimilation uses no observations"):
        plan.single_observation_inputs("no_assimilation", ["20090501T06"])
    with pytest.raises(PlanError, match="not a cycle of 3dvar"):
        plan.single_observation_inputs("3dvar", ["20090501T07"])


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (["z500@45N"], "verification.single_observations: 'z500@45N': '45N' is not a place"),
        (["z500@45N,0E+1", "z500@45N,0E+2"], "2 entries have one variable and place"),
    ],
)
def test_a_configuration_with_others_is_refused(config, given, found):
    config["verification"]["single_observations"] = given
    with pytest.raises(ConfigurationError, match=found):
        check_single_observations(config)


# files and figures


def increments(names=("one", "other"), texts=("z500@45N,30W+100", "t2m@30S,179E"), seed=1):
    draws = np.random.default_rng(seed)
    observations = [parse_single(text) for text in texts]

    def made():
        field = draws.normal(size=(69, *GRID.shape)).astype(np.float32)
        return Response(field, 1.5, 0.5, 0.25, 1e-4, 7)

    made_by = {name: {time: [made() for _ in observations] for time in TIMES} for name in names}
    return Increments.of(GRID, observations, made_by)


def test_a_file_of_increments_is_read_as_it_was_written(tmp_path):
    given = increments()
    write_increments(tmp_path / "x.nc", given)
    found = read_increments(tmp_path / "x.nc")
    assert (found.grid, found.experiments, found.times) == (GRID, ["one", "other"], TIMES)
    assert found.observations == given.observations
    for name in ("fields", "departure", "error", "at_observation", "gradient_reduction", "evaluations"):
        np.testing.assert_array_equal(getattr(found, name), getattr(given, name))
    assert found.fields.shape == (2, 2, 2, 69, *GRID.shape)


def test_files_of_experiments_are_joined(tmp_path):
    parts = [increments((name,), seed=seed) for seed, name in enumerate("ab")]
    together = joined(parts)
    assert together.experiments == ["a", "b"]
    np.testing.assert_array_equal(together.fields[1], parts[1].fields[0])
    with pytest.raises(ValueError, match="c and of a have different observations"):
        joined([parts[0], increments(("c",), ("z500@45N,30W+99", "t2m@30S,179E"))])


def test_a_damaged_file_and_an_increment_that_is_no_number_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"x\.nc is damaged, or is not a file"):
        read_increments(tmp_path / "x.nc")
    write_increments(tmp_path / "x.nc", increments())
    content = (tmp_path / "x.nc").read_bytes()
    (tmp_path / "x.nc").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"x\.nc is damaged, or is not a file"):
        read_increments(tmp_path / "x.nc")
    wrong = increments()
    wrong.fields[0, 0, 0, 3, 2, 1] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        write_increments(tmp_path / "y.nc", wrong)
    assert not (tmp_path / "y.nc").exists()


@pytest.mark.parametrize("count", [1, 7])
def test_the_figure_has_the_same_bytes_again_and_another_picture_of_another_day(tmp_path, count):
    given = increments([f"experiment_{index}" for index in range(count)])
    coastline = pd.read_csv(ROOT / "resources" / "coastline.csv")
    paths = [tmp_path / f"{index}.png" for index in range(3)]
    for path, case in zip(paths, ((0, 0), (0, 0), (0, 1)), strict=True):
        single_observation([path], given, *case, coastline)
    first, again, other = (path.read_bytes() for path in paths)
    assert first == again != other


def test_limits_of_colours_are_those_of_all_experiments_and_times():
    from lora_envar.verification.single_figure import Neighbourhood

    given = increments()
    given.fields[:] = 0.0
    row = int(np.abs(GRID.latitude - 45.0).argmin())
    column = int(np.abs(GRID.longitude - 330.0).argmin())
    for name, value in (("z500", 7.0), ("u250", -3.0), ("t850", 2.0)):
        given.fields[1, 0, 1, channel_index(name), row, column] = value
    near = Neighbourhood(GRID, given.observations[0])
    limits = near.limits(given.fields[:, 0])
    # nothing is at the level of the wind arrows
    assert limits == {"map": 7.0, "wind": 1.0, "z": 7.0, "u": 3.0, "t": 2.0}
    section = near.section_of("z", given.fields[1, 0, 1])
    assert section[LEVELS.index(500)].max() == 7.0


def test_a_file_of_increments_is_shown_and_replaced_by_its_kind_alone(tmp_path, capsys):
    write_increments(tmp_path / "x.nc", increments())
    assert main(["show", str(tmp_path / "x.nc"), "--time", "2009-05-02T06"]) == 0
    assert (tmp_path / "x.png").read_bytes()[:4] == b"\x89PNG"
    assert main(["show", str(tmp_path / "x.nc"), "--time", "2009-05-03"]) == 1
    assert "2009-05-03" in capsys.readouterr().err
    with netCDF4.Dataset(tmp_path / "x.nc") as dataset:
        assert dataset["increment"].dimensions[:3] == ("experiment", "observation", "time")
