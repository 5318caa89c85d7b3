"""The files of docs/examples run as they stand, on exports of a small folder of results, without a network."""

import ast
import importlib.util
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
from conftest import ROOT
from lora_envar.command import main
from results_folder import GRID, LEADS, START, analysed, cycle, forecast, truth, write_results

EXAMPLES = ROOT / "docs" / "examples"
#: runs a file as `python FILE ...` does, but for a network
OFFLINE = """
import runpy, socket, sys

def refuse(*_):
    raise OSError("no network in this test")

socket.socket.connect = socket.getaddrinfo = refuse
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
Z500 = 11


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports")
    results = write_results(folder)
    for form, source, out in (
        ("weatherbench-x", "hybrid", "predictions.nc"),
        ("weatherbench-x", "archive", "targets.nc"),
        ("ioda", "hybrid", "ioda"),
    ):
        assert main(["export", "--to", form, str(results / source), "-o", str(folder / out)]) == 0
    return folder


def run(folder, example, *arguments):
    command = [sys.executable, "-c", OFFLINE, str(EXAMPLES / example), *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def rmse(pairs):
    weights = np.cos(np.radians(GRID.latitude))[:, None] * np.ones(GRID.nlon)
    squares = [(one[Z500].astype(float) - other[Z500]) ** 2 for one, other in pairs]
    return np.average(np.mean(squares, axis=0), weights=weights) ** 0.5


def test_xarray_scores_an_export(exports):
    said = run(exports, "with_xarray.py", "predictions.nc", "targets.nc").splitlines()
    pairs = {0: [(analysed(cycle(number)), truth(cycle(number))) for number in range(4)]}
    for lead in LEADS:
        pairs[lead] = [(forecast(cycle(number), lead), truth(cycle(number + lead // 6))) for number in (0, 2)]
    expected = [f"{lead} hours: {rmse(of):.2f} m2 s-2, {len(of)} forecasts" for lead, of in pairs.items()]
    assert said == expected
    assert "24 hours: 1.00 m2 s-2" in said[1], "a day's forecast is off by 1"


def test_xarray_opens_ioda(exports):
    said = run(exports, "with_ioda.py", f"ioda/sondes_obs_{START:%Y%m%d%H}.nc4").splitlines()
    # of temperature, 2 and -1 are used, whose root mean square is 2.5^0.5; the wind is withheld
    assert "airTemperature: 1.581 0.5 K, 2 data" in said
    assert "geopotentialHeight: 10 1 m, 1 data" in said
    assert "windEastward: nan nan m s-1, 0 data" in said


def test_earthkit_plots_draws_an_export(exports):
    pytest.importorskip("earthkit.plots")
    run(exports, "with_earthkit_plots.py", "predictions.nc", ROOT / "resources" / "coastline.csv", "map.png")
    from matplotlib.image import imread

    picture = imread(exports / "map.png")
    assert min(picture.shape[:2]) > 200
    assert len(np.unique(picture.reshape(-1, picture.shape[-1]), axis=0)) > 50


def names_in(node):
    return {inside.id for inside in ast.walk(node) if isinstance(inside, ast.Name)}


def before_weatherbench_x(example):
    """The statements of the example up to the first that uses WeatherBench-X, and the names that it brings."""
    tree = ast.parse((EXAMPLES / example).read_text())
    brought = set()
    own = []
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module.startswith("weatherbenchX"):
            brought |= {alias.name for alias in node.names}
        elif names_in(node) & brought:
            break
        else:
            own.append(node)
    assert brought >= {"PredictionsFromXarray", "TargetsFromXarray"}
    return compile(ast.Module(own, []), example, "exec")


def test_weatherbench_x_is_given_times_that_both_files_have(exports, monkeypatch):
    """Up to WeatherBench-X itself, which is on no package index; then what its loaders do with their arguments."""
    paths = [str(exports / "predictions.nc"), str(exports / "targets.nc")]
    monkeypatch.setattr(sys, "argv", ["with_weatherbench_x.py", *paths])
    found = {}
    exec(before_weatherbench_x("with_weatherbench_x.py"), found)
    starts, leads = found["times"]
    assert starts.tolist() == [np.datetime64(cycle(n).replace(tzinfo=None), "ns").astype(int) for n in (0, 2)]
    assert (leads / np.timedelta64(1, "h")).tolist() == LEADS
    predictions = xr.open_dataset(paths[0])[found["names"]].sel(init_time=starts, lead_time=leads)
    valid = xr.DataArray(starts, coords={"init_time": starts}) + xr.DataArray(leads, coords={"lead_time": leads})
    targets = xr.open_dataset(paths[1]).rename({"time": "valid_time"})[found["names"]].sel(valid_time=valid)
    error = predictions - targets
    assert error["2m_temperature"].sizes == {"init_time": 2, "lead_time": 2, "latitude": 16, "longitude": 32}
    assert not error.to_array().isnull().any()


@pytest.mark.skipif(not importlib.util.find_spec("weatherbenchX"), reason="WeatherBench-X is on no package index")
def test_weatherbench_x_scores_an_export(exports):
    said = run(exports, "with_weatherbench_x.py", "predictions.nc", "targets.nc")
    assert "rmse.geopotential" in said and "rmse.2m_temperature" in said


def test_examples_are_short():
    for path in EXAMPLES.glob("*.py"):
        code = [
            line for line in path.read_text().splitlines() if line and not line.startswith(("import", "from", '"""'))
        ]
        assert len(code) <= 12, path.name
