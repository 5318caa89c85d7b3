"""Shared pieces of the tests: small grids, small networks, and a whole world on 16 x 32 points."""

import gc
import os
import signal
from pathlib import Path

# there is a process of pytest per core: more threads would wait for each other
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import torch
import yaml
from lora_envar.archive.prepare import prepare
from lora_envar.background.error_variables import ErrorVariables
from lora_envar.background.vae import FORMS
from lora_envar.fields.grid import Grid
from lora_envar.networks.swin import NetworkSettings
from lora_envar.plan.completion import with_found_settings

ROOT = Path(__file__).resolve().parents[1]
#: settings of the filter, for configurations that have none
LETKF = {
    "horizontal_localisation": 600.0,
    "vertical_localisation": 1.0,
    "relaxation": 0.5,
    "additive_error": 1.0,
    "inflation": 1.0,
}
#: settings that networks of data of others share
CHECKED = {
    "half_window_hours": 3,
    "quality": {
        "largest_quality_mark": 2,
        "highest_station": 750,
        "thinning_km": None,
        "superobbing": False,
        "withheld": 0.1,
    },
    "background_check": 5.0,
    "buddy_check": 4.0,
    "buddy_distance_km": 300,
    "seed": 1,
}
SHARED_DATA = ROOT.parent / "shared" / "data"


#: groups of tests that take minutes: they are dealt out first
LONG_GROUPS = (
    "finished",
    "test_slurm.py",
    "test_faults.py",
    "test_rehearsal.py",
    "test_static.py",
    "test_paper_rehearsal.py",
)


def _group(item):
    """What one process (pytest-xdist) has to itself: all tests of the finished run, or those of a file."""
    return "finished" if "finished" in item.fixturenames else item.path.name


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))
    order = {group: place for place, group in enumerate(LONG_GROUPS)}
    items.sort(key=lambda item: order.get(_group(item), len(order)))


def pytest_configure():
    # HDF5 is not made for threads: a collection in the thread by which pytest-xdist's processes talk would close files
    # of netCDF4 while the tests' own thread reads others, and the process would crash
    gc.disable()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item, nextitem):
    another_module = nextitem is None or nextitem.path != item.path
    gc.collect(2 if another_module else 1)


@pytest.fixture(scope="session")
def shared_data():
    """The folder of real data, where there is one."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"{SHARED_DATA} is not here")
    return SHARED_DATA


@pytest.fixture
def config():
    """The shipped configuration of the example, with the settings that were searched for."""
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    config["found_settings"] = str(ROOT / config["found_settings"])
    with_found_settings(config)
    return config


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A finished run of the small world of `tiny_configuration`, its configuration in `tiny.yaml`."""
    from tiny import Run, tiny_configuration

    run = Run(tmp_path_factory.mktemp("run"))
    run.make(tiny_configuration(run.folder))
    return run


def needs_signal(number: signal.Signals) -> None:
    """Skip a test of a signal that processes started here would ignore, as under nohup or in the background."""
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip(f"{number.name} is ignored here, as under nohup or in the background")


@pytest.fixture
def plain_adam(monkeypatch):
    """Adam without the kernel of a whole step, which is there for devices with values alone."""
    adam = torch.optim.AdamW
    monkeypatch.setattr(torch.optim, "AdamW", lambda *given, fused, **others: adam(*given, **others))


@pytest.fixture
def small_grid():
    return Grid("gaussian", 16, 32)


def small_network(inputs=(69,), outputs=(8,)):
    return NetworkSettings(
        (16, 32),
        inputs,
        outputs,
        widths=(16,),
        heads=(2,),
        depth=0,
        core_width=16,
        core_heads=2,
        core_depth=2,
        window=(4, 4),
    )


@pytest.fixture(params=sorted(FORMS))
def small_vae(request, small_grid):
    """A VAE of either form whose weights are random, but not small, so that it is visibly nonlinear."""
    torch.manual_seed(3)
    vae = FORMS[request.param](ErrorVariables(small_grid, 10), small_network(), sigma=0.5)
    with torch.no_grad():
        for parameter in vae.parameters():
            parameter.add_(
                0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel()))
            )
    vae.variables.scale.copy_(torch.linspace(0.5, 2.0, 69).view(-1, 1, 1))
    return vae.eval().requires_grad_(False)


def prepared(path, grid, truncation=None, derive=()):
    """Times and states of a source's file, all at once: (time, 69, lat, lon)."""
    times, parts = prepare(path, grid, truncation, derive)
    return times, np.concatenate(list(parts))


def fengwu_files(folder, shape, mean, deviation, inputs=1, present=2.0):
    """Files like FengWu's: the next frame is `present` x present - 0.5 x previous + 1 of normalised values, then zeros.

    Gives the section of the configuration that names them.
    """
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    constants = {"previous": -0.5, "present": present, "one": 1.0, "nothing": 0.0}
    tensors = [helper.make_tensor(name, kind, [1], [value]) for name, value in constants.items()]
    tensors.append(helper.make_tensor("halves", onnx.TensorProto.INT64, [2], [69, 69]))
    nodes = [
        helper.make_node("Split", ["input", "halves"], ["before", "now"], axis=1),
        helper.make_node("Mul", ["before", "previous"], ["a"]),
        helper.make_node("Mul", ["now", "present"], ["b"]),
        helper.make_node("Add", ["a", "b"], ["c"]),
        helper.make_node("Add", ["c", "one"], ["next"]),
        helper.make_node("Mul", ["now", "nothing"], ["rest"]),
        helper.make_node("Concat", ["next", "rest"], ["output"], axis=1),
    ]
    names = ["input", "other"][:inputs]
    graph = helper.make_graph(
        nodes,
        "fengwu",
        [helper.make_tensor_value_info(name, kind, shape) for name in names],
        [helper.make_tensor_value_info("output", kind, shape)],
        tensors,
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "fengwu.onnx"
    )
    np.save(folder / "data_mean.npy", mean)
    np.save(folder / "data_std.npy", deviation)
    return {
        "name": "fengwu",
        "weights": str(folder / "fengwu.onnx"),
        "mean": str(folder / "data_mean.npy"),
        "deviation": str(folder / "data_std.npy"),
    }
