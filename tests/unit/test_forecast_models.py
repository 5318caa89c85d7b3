"""Forecast models from files of other programs, on small grids with networks whose answers are known."""

import hashlib
import io
import json
import logging
import pickle
import sys
import weakref
import zipfile
from datetime import UTC, datetime

import jsonschema
import numpy as np
import pytest
import torch
from conftest import fengwu_files, small_network
from lora_envar.fields.grid import Grid
from lora_envar.forecast import check_model, forecast, forecasts, load_model, model_files
from lora_envar.forecast.emulator import Emulator
from lora_envar.forecast.model import ForecastModel
from lora_envar.plan.schema import complete_schema
from torch import nn

GRID = Grid("equiangular", 5, 8)
GRID_SETTINGS = {"kind": "equiangular", "latitudes": 5, "longitudes": 8}
MEAN = np.linspace(-3.0, 300.0, 69)
DEVIATION = np.linspace(0.5, 20.0, 69)


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def states(batch=1, seed=0):
    random = torch.Generator().manual_seed(seed)
    normal = torch.randn(batch, 69, *GRID.shape, generator=random)
    return normal * torch.as_tensor(DEVIATION, dtype=torch.float32).view(-1, 1, 1) + torch.as_tensor(
        MEAN, dtype=torch.float32
    ).view(-1, 1, 1)


# FengWu


@pytest.fixture
def fengwu(tmp_path):
    """Writes files like FengWu's."""

    def write(shape=(1, 138, *GRID.shape), inputs=1):
        return fengwu_files(tmp_path, shape, MEAN, DEVIATION, inputs)

    return write


def test_fengwu_takes_two_frames_and_normalises_every_channel(fengwu):
    model = load_model(**fengwu())
    assert (model.grid, model.step_hours, model.history, model.differentiable) == (GRID, 6, 2, False)
    previous, present = states(3, 1), states(3, 2)
    first, second = forecasts(model, present, [6, 12], previous=previous)
    mean, deviation = (torch.as_tensor(v, dtype=torch.float32).view(-1, 1, 1) for v in (MEAN, DEVIATION))

    def following(before, now):
        return mean + 2 * (now - mean) - 0.5 * (before - mean) + deviation

    # float32 of values up to 400, some 6 operations
    torch.testing.assert_close(first, following(previous, present), rtol=0, atol=400 * 6 * 2**-23)
    torch.testing.assert_close(second, following(present, first), rtol=0, atol=800 * 6 * 2**-23)
    # the batch is of independent states
    torch.testing.assert_close(forecast(model, present[1:2], 6, previous=previous[1:2]), first[1:2], rtol=0, atol=0)


def test_fengwu_repeats_the_frame_and_says_so_where_the_one_before_is_not_known(fengwu, caplog):
    model, present = load_model(**fengwu()), states(1, 2)
    with caplog.at_level(logging.WARNING):
        once = forecast(model, present, 6)
    assert "needs two frames" in caplog.text
    caplog.clear()
    torch.testing.assert_close(once, forecast(model, present, 6, previous=present), rtol=0, atol=0)
    assert not caplog.text


def test_fengwu_of_open_size_needs_a_grid(fengwu):
    section = fengwu(shape=(1, 138, "lat", "lon"))
    with pytest.raises(ValueError, match=r"fengwu\.onnx: the file does not fix its grid"):
        load_model(**section)
    assert load_model(**section, grid=GRID_SETTINGS).grid == GRID
    with pytest.raises(ValueError, match="the file is for 5 x 8 points"):
        load_model(**fengwu(), grid=GRID_SETTINGS | {"latitudes": 7})


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda fengwu, folder: fengwu(shape=(1, "c", 5, 8)),
            r"takes input \[1, 'c', 5, 8\], but FengWu takes one input",
        ),
        (lambda fengwu, folder: fengwu(inputs=2), "FengWu takes one input"),
        (lambda fengwu, folder: (folder / "fengwu.onnx").write_bytes(b"no onnx"), r"fengwu\.onnx cannot be read"),
        (lambda fengwu, folder: np.save(folder / "data_std.npy", 0 * DEVIATION), "data_std.npy .* 69 positive values"),
        (lambda fengwu, folder: np.save(folder / "data_mean.npy", MEAN[:68]), r"data_mean.npy has the shape \(68,\)"),
        (
            lambda fengwu, folder: np.save(folder / "data_mean.npy", np.array([print] * 69), allow_pickle=True),
            "data_mean.npy cannot be read",
        ),
    ],
    ids=["channels", "inputs", "damaged", "deviation", "mean", "pickle"],
)
def test_fengwu_s_files_are_checked(fengwu, tmp_path, spoil, message):
    section = fengwu()
    spoil(fengwu, tmp_path)
    with pytest.raises(ValueError, match=message):
        load_model(**section)


# exported networks


class Diffusion(nn.Module):
    """Mixes neighbours and channels nonlinearly, so that values and gradients say what was computed."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(2)
        self.mix = nn.Conv2d(69, 69, 3, padding=1, padding_mode="circular")

    def forward(self, x):
        return x + 0.01 * torch.tanh(self.mix(x / 100.0))


def save_exported(folder, kind):
    network = Diffusion().eval()
    if kind == "torchscript":
        path = folder / "network.pt"
        torch.jit.trace(network, states()).save(path)
    else:
        path = folder / "network.pt2"
        example = (states(1 if kind == "pt2 of one state" else 2),)
        sizes = None if kind == "pt2 of one state" else {"x": {0: torch.export.Dim("batch")}}
        torch.export.save(torch.export.export(network, example, dynamic_shapes=sizes), path)
    return network, path


@pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")
@pytest.mark.parametrize("kind", ["torchscript", "pt2", "pt2 of one state"])
def test_exported_networks_give_values_and_gradients(tmp_path, kind):
    network, path = save_exported(tmp_path, kind)
    model = load_model("exported", path, sha256=digest(path), grid=GRID_SETTINGS, step_hours=3)
    assert (model.grid, model.step_hours, model.differentiable) == (GRID, 3, True)
    start = states(3)
    with torch.no_grad():
        expected = network(network(start))
    torch.testing.assert_close(forecast(model, start, 6), expected)
    found, wanted = start.clone().requires_grad_(), start.clone().requires_grad_()
    model.step(found).square().sum().backward()
    network(wanted).square().sum().backward()
    torch.testing.assert_close(found.grad, wanted.grad)


def test_exported_networks_must_be_known_and_fit(tmp_path):
    _, path = save_exported(tmp_path, "pt2")
    settings = {"grid": GRID_SETTINGS, "step_hours": 6}
    with pytest.raises(ValueError, match="exported needs the setting sha256"):
        load_model("exported", path, **settings)
    with pytest.raises(ValueError, match="exported needs the setting grid, step_hours"):
        load_model("exported", path, sha256=digest(path))
    with pytest.raises(
        ValueError, match=r"network\.pt2 takes states of the shape \(.*69, 5, 8\), but must take \(batch, 69, 7, 8\)"
    ):
        load_model("exported", path, sha256=digest(path), grid=GRID_SETTINGS | {"latitudes": 7}, step_hours=6)
    for name in ("broken.pt2", "broken.pt"):
        (tmp_path / name).write_bytes(b"nothing")
        with pytest.raises(ValueError, match=rf"{name} cannot be read"):
            load_model("exported", tmp_path / name, sha256=digest(tmp_path / name), **settings)


SPRUNG = []


class Trap:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return spring, ()


def spring():
    SPRUNG.append("run")


def rewritten(path, target, replace):
    """A copy of a zip archive with members replaced or added by `replace(name, content)`."""
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w") as archive:
        root = source.namelist()[0].split("/")[0]
        for name in source.namelist():
            archive.writestr(name, replace(name, source.read(name)))
        for name, content in replace(None, root):
            archive.writestr(name, content)
    return target


@pytest.mark.parametrize("where", ["weights", "example", "opaque"])
def test_no_pickle_of_an_exported_program_is_run(tmp_path, where):
    """torch.export.load alone would run the first two; what it would do with the third is not tried."""
    _, path = save_exported(tmp_path, "pt2")
    buffer = io.BytesIO()
    torch.save(Trap(), buffer)
    trap = buffer.getvalue()

    def replace(name, content):
        if name is None:
            return [(f"{content}/data/constants/opaque_obj_0", pickle.dumps(Trap()))] if where == "opaque" else []
        if where == "weights" and name.endswith("model_weights_config.json"):
            config = json.loads(content)
            for entry in config["config"].values():
                entry["use_pickle"] = True
            return json.dumps(config)
        if (where == "weights" and "/data/weights/weight" in name) or (where == "example" and "sample_inputs" in name):
            return trap
        return content

    trapped = rewritten(path, tmp_path / "trapped.pt2", replace)
    SPRUNG.clear()
    if where != "opaque":
        try:
            torch.export.load(trapped)
        except Exception as error:
            print(f"torch.export.load: {error}")
        assert SPRUNG, "the trap works"
        SPRUNG.clear()
    with pytest.raises(ValueError, match=r"trapped\.pt2 (cannot be read|has custom objects)"):
        load_model("exported", trapped, sha256=digest(trapped), grid=GRID_SETTINGS, step_hours=6)
    assert not SPRUNG


# the registry


def emulator_file(folder):
    Emulator(Grid("gaussian", 16, 32), None, small_network((69,), (69,))).save(folder / "emulator.safetensors")
    return folder / "emulator.safetensors"


def test_weights_are_checked_before_they_are_read(tmp_path):
    path = emulator_file(tmp_path)
    assert isinstance(load_model("emulator", path, "cpu"), Emulator)
    assert isinstance(load_model("emulator", path, sha256=digest(path).upper()), Emulator)
    with pytest.raises(ValueError, match=rf"emulator\.safetensors has SHA-256 {digest(path)}, expected {'0' * 64}"):
        load_model("emulator", path, sha256="0" * 64)
    path.write_bytes(b"not a model")
    with pytest.raises(ValueError, match="has SHA-256"):
        load_model("emulator", path, sha256="0" * 64)
    with pytest.raises(ValueError, match="does not exist"):
        load_model("emulator", tmp_path / "none", sha256="0" * 64)


def test_settings_of_another_model_are_refused_by_name():
    check_model("fengwu", weights="w", mean="m", deviation="d")
    with pytest.raises(ValueError, match="emulator has no setting mean, step_hours; it has weights, sha256, train"):
        check_model("emulator", weights="w", mean="m", step_hours=6)
    with pytest.raises(ValueError, match="fengwu needs the setting deviation"):
        check_model("fengwu", weights="w", mean="m")
    with pytest.raises(ValueError, match="'pangu' is unknown; known: emulator, exported, fengwu, neuralgcm"):
        check_model("pangu", weights="w")
    assert model_files({"name": "fengwu", "weights": "w", "deviation": "d", "mean": "m"}) == ["w", "m", "d"]
    assert model_files({"name": "emulator", "weights": "w"}) == ["w"]


@pytest.mark.parametrize(
    ("section", "named"),
    [
        ({"name": "emulator", "sha256": "0" * 64}, None),
        ({"name": "fengwu", "mean": "m", "deviation": "d"}, None),
        ({"name": "exported", "sha256": "0" * 64, "grid": GRID_SETTINGS, "step_hours": 6}, None),
        ({"name": "neuralgcm", "boundary": "b", "step_hours": 12}, None),
        ({"name": "emulator", "mean": "m"}, "'mean'"),
        ({"name": "fengwu", "mean": "m"}, "'deviation' is a required"),
        ({"name": "exported", "grid": GRID_SETTINGS, "step_hours": 6}, "'sha256' is a required"),
        ({"name": "neuralgcm", "grid": GRID_SETTINGS}, "'grid'"),
        ({"name": "emulator", "sha256": "0" * 63}, "0000"),
    ],
)
def test_the_schema_agrees_with_the_models(section, named):
    schema = complete_schema()
    validator = jsonschema.Draft202012Validator({"$defs": schema["$defs"], "$ref": "#/$defs/model"})
    section = section | {"weights": "w"}
    found = [error.message for error in validator.iter_errors(section)]
    if named is None:
        assert not found
        check_model(**section)
    else:
        assert any(named in message for message in found)


@pytest.mark.parametrize(
    ("module", "section"),
    [
        ("onnxruntime", {"name": "fengwu", "weights": "w", "mean": "m", "deviation": "d"}),
        ("neuralgcm_torch", {"name": "neuralgcm", "weights": "w"}),
    ],
)
def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch, module, section):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"pip install -e '\.\[{section['name']}\]'"):
        load_model(**section)


def test_a_model_that_depends_on_the_date_gets_it():
    class Clock(ForecastModel):
        grid, step_hours, differentiable, timed = GRID, 6, True, True

        def step(self, states, previous=None, valid=None):
            return torch.stack([state + time.hour for state, time in zip(states, valid, strict=True)])

    start = torch.zeros(2, 69, *GRID.shape)
    valid = [datetime(2020, 1, 1, hour, tzinfo=UTC) for hour in (0, 18)]
    last = forecast(Clock(), start, 12, valid=valid)
    assert last[:, 0, 0, 0].tolist() == [0 + 6, 18 + 0]
    with pytest.raises(ValueError, match="2 states need as many valid times"):
        forecast(Clock(), start, 12)


class Doubling(ForecastModel):
    """Every step doubles the state; it knows which of its states are still held."""

    step_hours = 6

    def __init__(self):
        self.made = weakref.WeakSet()

    def step(self, states, previous=None, valid=None):
        made = 2 * states
        self.made.add(made)
        return made


def test_only_the_forecasts_at_the_wanted_leads_are_kept():
    """A state of 0.25 degrees takes 286 MB, a forecast of ten days has 40 of them."""
    model = Doubling()
    kept = list(forecasts(model, torch.ones(1, 1, 2, 2), [6, 60, 120]))
    assert [state[0, 0, 0, 0].item() for state in kept] == [2.0, 2.0**10, 2.0**20]
    assert len(model.made) == 3
    with pytest.raises(ValueError, match="a lead time of 8 h is not a multiple of the model's step of 6 h"):
        next(forecasts(model, torch.ones(1, 1, 2, 2), [6, 8]))
