"""A twin archive: a forecast model with a share of its own sampled error, from a time on, over any other source."""

from datetime import UTC, datetime, timedelta
from functools import partial

import numpy as np
import pytest
import torch
import yaml
from conftest import ROOT
from lora_envar.archive import SOURCES
from lora_envar.fields.grid import Grid
from lora_envar.fields.timeline import times
from lora_envar.files.state_file import StateFile
from lora_envar.forecast import forecast, load_model
from lora_envar.forecast.model import ForecastModel
from lora_envar.forecast.perturbed import perturbation, sampled_errors, trajectory
from lora_envar.plan.brought import missing_files, missing_lines
from lora_envar.plan.completion import ConfigurationError
from lora_envar.plan.configuration import check
from lora_envar.plan.plan import Plan
from lora_envar.plan.schema import check_schema
from snakemake.utils import update_config

START = datetime(2009, 4, 23, tzinfo=UTC)
STEP = timedelta(hours=6)
GRID = Grid("gaussian", 4, 8)
SHAPE = (69, *GRID.shape)
WEIGHTS = ROOT / "resources" / "example" / "emulator.safetensors"
ARCHIVE = ROOT / "resources" / "example" / "archive.nc"


@pytest.fixture
def twin(config):
    """The example's configuration with the shipped overlay."""
    update_config(config, yaml.safe_load((ROOT / "config" / "twin.yaml").read_text()))
    config["archive"]["path"] = str(ARCHIVE)
    config["archive"]["forecast_model"]["weights"] = str(WEIGHTS)
    return config


@pytest.fixture
def section(twin):
    """What a block of this archive is fetched with, of four errors."""
    section = Plan(twin).archive.source("20090401")
    return section | {"errors": {"start": "2009-02-10T06", "end": "2009-02-12T00", "every_hours": 12}}


def fetched(section, wanted, path):
    """States by their times."""
    SOURCES[section["source"]].fetch(section, wanted, str(path))
    file = StateFile(path)
    assert file.times == wanted
    return {time: file.read(time) for time in wanted}


class Linear(ForecastModel):
    """Damps what it is given, by half in every step."""

    grid = GRID
    step_hours = 6

    def step(self, states, previous=None, valid=None):
        return 0.5 * states


class Extrapolating(ForecastModel):
    """Goes on as from the frame before."""

    grid = GRID
    step_hours = 6
    history = 2

    def step(self, states, previous=None, valid=None):
        return 2 * states - previous


class Clock(ForecastModel):
    """Adds the hour of the day at which each of its steps of 3 h starts."""

    grid = GRID
    step_hours = 3
    timed = True

    def step(self, states, previous=None, valid=None):
        return states + torch.tensor([time.hour for time in valid]).view(-1, 1, 1, 1)


def drawn(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_share_of_nothing_is_the_model_s_own_trajectory(section, tmp_path):
    wanted = times(START, START + 4 * STEP, 6)
    states = fetched(section | {"share": 0}, wanted, tmp_path / "twin.nc")
    model = load_model("emulator", str(WEIGHTS))
    state = torch.as_tensor(states[START])[None]
    for time in wanted[1:]:
        state = forecast(model, state, 6)
        np.testing.assert_array_equal(states[time], state[0].numpy())


def test_states_up_to_the_first_are_the_underlying_source_s(section, tmp_path):
    wanted = times(START - 2 * STEP, START + STEP, 6)
    states = fetched(section, wanted, tmp_path / "twin.nc")
    real = fetched(section | {"source": "example"}, wanted, tmp_path / "real.nc")
    for time in wanted[:3]:
        np.testing.assert_array_equal(states[time], real[time])
    assert (states[wanted[3]] != real[wanted[3]]).any()


def test_blocks_that_are_cut_differently_have_the_same_states(section, tmp_path):
    wanted = times(START - STEP, START + 4 * STEP, 6)
    whole = fetched(section, wanted, tmp_path / "whole.nc")
    cut = fetched(section, wanted[:3], tmp_path / "first.nc") | fetched(section, wanted[3:], tmp_path / "second.nc")
    for time in wanted:
        assert whole[time].tobytes() == cut[time].tobytes()
    assert (tmp_path / "second.nc").read_bytes() == again(section, wanted[3:], tmp_path / "second.nc")
    assert not list(tmp_path.glob("*underlying*")), "what it is made from is removed"
    other = fetched(section | {"seed": 2}, wanted, tmp_path / "other.nc")
    assert [bool((whole[time] == other[time]).all()) for time in wanted] == [True, True, False, False, False, False]


def again(section, wanted, path):
    fetched(section, wanted, path)
    return path.read_bytes()


def test_what_is_added_has_the_variance_of_the_share_of_the_sampled_errors():
    """Over many steps of a trajectory, in every channel at every point; and in the mean over all of them."""
    steps = 4000
    share = 0.3
    errors = drawn(12, *SHAPE) * torch.logspace(-1, 1, 69).view(-1, 1, 1)
    errors -= errors.mean(0)
    wanted = share**2 * (errors.double() ** 2).mean(0)
    model = Linear()
    state = drawn(1, *SHAPE, seed=2)
    total = torch.zeros(SHAPE, dtype=torch.float64)
    square = torch.zeros(SHAPE, dtype=torch.float64)
    path = trajectory(model, state, None, START, 6, partial(perturbation, errors, share, 1))
    for _ in range(steps):
        _, following = next(path)
        residual = (following - model.step(state))[0].double()
        total += residual
        square += residual**2
        state = following
    mean = total / steps
    # the mean of N normal numbers has the variance 1 / N of theirs, their mean square the relative variance 2 / N; of
    # 2208 points none is beyond 5 standard deviations but once in a thousand such tests
    assert ((mean**2 * steps / wanted) < 25).all()
    ratio = square / steps / wanted
    assert ((ratio - 1).abs() < 5 * (2 / steps) ** 0.5).all()


def test_sampled_errors_are_forecasts_less_the_truth_less_their_mean():
    truth = {time: drawn(*SHAPE, seed=hour).numpy() for hour, time in enumerate(times(START, START + 5 * STEP, 6))}
    starts = list(truth)[:-1]
    errors = sampled_errors(Linear(), truth.get, starts, 6, batch=2)
    expected = np.stack([0.5 * truth[time] - truth[time + STEP] for time in starts])
    # float32 of numbers up to 5, a mean of five of them
    np.testing.assert_allclose(errors.numpy(), expected - expected.mean(0), rtol=0, atol=5 * 8 * 2**-23)
    with pytest.raises(ValueError, match="no state that is valid"):
        sampled_errors(Linear(), truth.get, list(truth), 6)


def test_a_model_of_two_frames_starts_from_the_twin_s_own():
    """Extrapolation in time: from 1 and 3 to 5, with 1 added to 6, and so to 9 and 10."""
    before = torch.ones(1, *SHAPE)
    path = trajectory(Extrapolating(), 3 * before, before, START, 6, lambda time: torch.ones(SHAPE))
    found = [next(path) for _ in range(2)]
    assert [time for time, _ in found] == [START + STEP, START + 2 * STEP]
    assert [float(state.mean()) for _, state in found] == [6.0, 10.0]
    with pytest.raises(
        ValueError, match="two frames 6 h apart, and a trajectory with a state every 12 h does not have both"
    ):
        next(trajectory(Extrapolating(), before, before, START, 12, None))


def test_a_step_of_the_twin_is_several_of_a_model_with_shorter_ones():
    """From midnight, steps of 3 h at 0, 3, then 6, 9 o'clock, and the error comes in between."""
    path = trajectory(Clock(), torch.zeros(1, *SHAPE), None, START, 6, lambda time: torch.full(SHAPE, 100.0))
    assert [float(next(path)[1].mean()) for _ in range(2)] == [103.0, 218.0]


def test_a_trajectory_that_blows_up_names_the_time():
    path = trajectory(Linear(), torch.ones(1, *SHAPE), None, START, 6, lambda time: torch.full(SHAPE, float("inf")))
    next(path)
    with pytest.raises(FloatingPointError, match=r"starts at 2009-04-23T00 failed at 2009-04-23T06: .* not finite"):
        next(path)


# the configuration


def changed(config, path, value):
    *parents, last = path.split(".")
    entry = config
    for key in parents:
        entry = entry[key]
    entry[last] = value
    return config


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            "archive.since",
            "2009-04-23T03",
            "archive.since: 2009-04-23T03 is not a time of the archive, which has states",
        ),
        ("archive.since", "2009-06-01T00", "archive.since: 2009-06-01T00 is outside the archive, 2009-02-10T06 to"),
        ("archive.since", "2009-04-31", "archive.since: '2009-04-31' is not a time"),
        ("archive.errors.start", "2009-02-09T06", "archive.errors: forecasts of 6 h that start from 2009-02-09T06 to"),
        ("archive.errors.end", "2009-05-21T00", "to 2009-05-21T00 must lie within the underlying archive, which has"),
        (
            "archive.errors.end",
            "2009-02-10T12",
            "archive.errors: 2009-02-10T06 to 2009-02-10T12 every 12 h makes fewer than two",
        ),
        (
            "archive.errors.end",
            "2009-02-01T00",
            "archive.errors: 2009-02-10T06 to 2009-02-01T00 every 12 h makes fewer than two",
        ),
        ("archive.errors.every_hours", 9, "archive.errors.every_hours: 9 h is not a multiple of step_hours, 6 h"),
        ("archive.errors.start", "2009-02-10T07", "archive.errors.start: 2009-02-10T07 is not a time of the archive"),
        ("archive.finer", {"start": "2009-04-24", "end": "2009-05-06", "step_hours": 1}, "archive.finer: not allowed"),
    ],
)
def test_times_that_the_archive_does_not_have_are_refused(twin, path, value, message):
    check(twin)
    with pytest.raises(ConfigurationError) as refused:
        check(changed(twin, path, value))
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            {"name": "neuralgcm", "weights": "w", "step_hours": 12},
            "archive.forecast_model: the step of w, 12 h, does not divide the archive's step_hours, 6 h",
        ),
        ({"name": "neuralgcm", "weights": "w", "step_hours": 3}, None),
        (
            {"name": "fengwu", "weights": "w", "mean": "m", "deviation": "d"},
            "start from 2009-02-10T06 to 2009-04-10T00 (with a frame before) must lie within the underlying archive",
        ),
        (
            {"name": "emulator", "weights": "w", "mean": "m"},
            "archive.forecast_model: the forecast model emulator has no",
        ),
    ],
)
def test_models_that_do_not_step_from_state_to_state_are_refused(twin, model, message):
    twin["archive"]["forecast_model"] = model
    if message is None:
        check(twin)
        return
    with pytest.raises(ConfigurationError) as refused:
        check(twin)
    assert message in str(refused.value)


def test_two_frames_must_be_the_archive_s_own(twin):
    archive = twin["archive"]
    archive["forecast_model"] = {"name": "fengwu", "weights": "w", "mean": "m", "deviation": "d"}
    archive["errors"]["start"] = "2009-02-11T06"
    SOURCES["twin"].check(archive)
    with pytest.raises(ValueError, match=r"^since: 2009-02-10T06 \(with a frame before\) is outside the archive"):
        SOURCES["twin"].check(archive | {"since": "2009-02-10T06"})
    with pytest.raises(
        ValueError,
        match=r"fengwu starts from two frames 6 h apart, so the archive's step_hours must be the same, not 12 h$",
    ):
        SOURCES["twin"].check(archive | {"step_hours": 12})


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("archive.share", -0.1, "archive.share: -0.1 is less than the minimum of 0"),
        ("archive.of", "twin", "archive.of: 'twin' is unknown; known: arco, cds, ecmwf, example, files, gfs, ncar"),
        ("archive.of", "cds", "archive.path: this name is not allowed here"),
        ("archive.source", "example", "archive.of: this name is not allowed here"),
        ("archive.member", 1, "archive.member: this name is not allowed here"),
        ("archive.since", "23.04.2009", "archive.since: '23.04.2009' is not a time, as 2022-01-31T18 or 2022-01-31"),
        ("archive.errors", {"start": "2009-02-10", "end": "2009-03-10"}, "archive.errors.every_hours: missing"),
        (
            "archive.forecast_model",
            {"name": "emulator"},
            "archive.forecast_model: {'name': 'emulator'} is not a model with either",
        ),
    ],
)
def test_the_schema_has_the_keys_of_the_twin_and_of_what_it_is_made_from(twin, path, value, message):
    check_schema(twin)
    with pytest.raises(ConfigurationError) as refused:
        check_schema(changed(twin, path, value))
    assert message in str(refused.value)


@pytest.mark.parametrize("key", ["of", "since", "share", "errors", "seed", "forecast_model", "path"])
def test_what_a_twin_lacks_is_named(twin, key):
    del twin["archive"][key]
    with pytest.raises(ConfigurationError, match=rf"^archive\.{key}: missing"):
        check_schema(twin)


def test_the_files_of_a_twin_are_those_of_its_source_and_its_model(twin):
    twin["archive"]["forecast_model"]["weights"] = "brought/model.safetensors"
    twin["archive"]["path"] = "brought/archive.nc"
    plan = Plan(twin)
    assert plan.archive.brought("20090401") == ["brought/archive.nc", "brought/model.safetensors"]
    lines = missing_lines(missing_files(plan.brought()))
    assert "archive.path: brought/archive.nc is missing; provide the file, or name another" in lines
    assert any(
        line.startswith("archive.forecast_model.weights: brought/model.safetensors is missing") for line in lines
    )


def test_what_the_states_depend_on_is_what_a_block_is_fetched_with(twin):
    source = Plan(twin).archive.source("20090401")
    assert {"of", "since", "share", "errors", "seed", "forecast_model", "path", "step_hours"} <= set(source)
    longer = changed(twin, "archive.end", "2009-05-20T00")
    assert Plan(longer).archive.source("20090401") == source, "the end of the archive changes no state before it"


def test_errors_of_the_model_that_a_filter_adds_are_those_of_the_twin(twin):
    """In a twin of the model that is sampled, its share of them; of another model, or before the twin begins, all."""
    twin["archive"] |= {"forecast_model": twin["forecast_model"], "since": "2009-04-23T00", "share": 0.3}
    assert Plan(twin).training_set.model_error_share() == 0.3
    assert Plan(changed(twin, "archive.since", "2009-03-01T00")).training_set.model_error_share() == 1.0
    other = changed(twin, "archive.forecast_model", {"name": "emulator", "weights": "other.safetensors"})
    assert Plan(other).training_set.model_error_share() == 1.0
