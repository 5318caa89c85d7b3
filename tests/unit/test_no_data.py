"""Cycles that no datum reaches: the analysis is the background, a warning says so, and all that follows copes."""

import io
from datetime import UTC, datetime, timedelta

import netCDF4
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from lora_envar.analysis.assimilate import Case, assimilate
from lora_envar.analysis.minimisation import MinimiserSettings
from lora_envar.fields.grid import Grid
from lora_envar.fields.timeline import name
from lora_envar.files.provenance import group
from lora_envar.forecast.model import ForecastModel
from lora_envar.observations.quality import DepartureChecks, QualitySettings, select, summary
from lora_envar.observations.table import REASONS, read_observations, write_observations
from lora_envar.observations.window import Window, WindowOperator
from lora_envar.verification.cycling_gates import cycling_gates, with_data
from lora_envar.verification.diagnostics import diagnose
from lora_envar.verification.figures import observation_maps
from lora_envar.verification.observation_fit import fit, interpolate, rejections, shown
from lora_envar.verification.results import cost
from lora_envar.verification.score import score_all
from test_reports import fitted

GRID = Grid("gaussian", 16, 32)
TIME = datetime(2009, 1, 1, tzinfo=UTC)
SETTINGS = MinimiserSettings(3, 3, 1e-4)
NOTHING = fitted().select(np.zeros(0, dtype=int))
REJECTED = fitted().with_columns(rejection=np.full(len(fitted()), REASONS["quality_mark"], "i1"))
WITHHELD = fitted().with_columns(rejection=np.full(len(fitted()), REASONS["withheld"], "i1"))
WITHOUT = pytest.mark.parametrize("table", [NOTHING, REJECTED, WITHHELD], ids=["nothing", "rejected", "withheld"])


class Unused:
    """An error model that must not be asked for anything."""


class Still(ForecastModel):
    """A forecast model that does nothing."""

    differentiable = True
    step_hours = 1

    def step(self, batch):
        return batch


@WITHOUT
def test_without_data_the_analysis_is_the_background(table, tmp_path):
    said = []
    background = np.random.default_rng(1).normal(size=(69, *GRID.shape)).astype("f4")
    checks = DepartureChecks(np.ones(69), background_check=5.0, buddy_check=3.0, buddy_distance_km=500.0)
    result = assimilate(
        Case(background, GRID, GRID, table, SETTINGS, checks=checks, progress=said.append), Unused(), 1.0
    )
    assert np.array_equal(result.state, background)
    assert [line for line in said if line.startswith("warning: none of")] == said
    assert result.attributes() == {"used": 0, "cost_at_background": 0.0, "cost_at_analysis": 0.0, "evaluations": 0}
    write_observations(tmp_path / "observations.nc", result.observations, result.attributes())
    assert len(read_observations(tmp_path / "observations.nc")) == len(table)
    with netCDF4.Dataset(tmp_path / "observations.nc") as dataset:
        assert dataset.used == 0.0
    coastline = pd.read_csv(ROOT / "resources" / "coastline.csv")
    observation_maps(tmp_path / "map.png", "nothing", read_observations(tmp_path / "observations.nc"), coastline)
    assert (tmp_path / "map.png").stat().st_size > 1000


def test_a_window_without_data_is_no_obstacle():
    import torch

    window = Window(0, 2, 1, Still(), torch.zeros(2, 69))
    background = np.zeros((69, *GRID.shape), dtype="f4")
    assert len(WindowOperator(NOTHING, GRID, window)(torch.zeros(69, *GRID.shape))) == 0
    result = assimilate(Case(background, GRID, GRID, NOTHING, SETTINGS, window, progress=lambda _: None), Unused(), 1.0)
    assert np.array_equal(result.state, background)


def test_an_experiment_that_does_not_assimilate_says_nothing_of_a_cost():
    background = np.zeros((69, *GRID.shape), dtype="f4")
    result = assimilate(Case(background, GRID, GRID, fitted(), SETTINGS, progress=lambda _: None), None, 1.0)
    assert result.attributes() == {"used": 4, "evaluations": 0}


def test_an_empty_table_passes_quality_control():
    found = select(NOTHING, QualitySettings(thinning_km=500.0, superobbing=True))
    assert len(found) == 0
    assert summary(found) == "there are no data"
    assert summary(found, 7).startswith("7 of 7 data are outside the window")


def analyses(folder, used):
    """Tables of analyses that used so many data, each at 2 J / p = 1.5."""
    paths = []
    for cycle, count in enumerate(used):
        path = folder / "results" / "a" / name(TIME + timedelta(hours=6 * cycle)) / "observations.nc"
        said = {"used": count, "cost_at_analysis": 0.75 * count, "evaluations": 10 * (count > 0)}
        said |= {"gradient_at_background": 100.0, "gradient_at_analysis": 0.01 * count} if count else {}
        write_observations(path, fitted().select(np.zeros(count, dtype=int)), said)
        paths.append(path)
    return paths


def test_gates_are_those_of_the_cycles_with_data(tmp_path, capsys):
    used = with_data(diagnose("a", analyses(tmp_path, [40, 0, 20]), []).cycles)
    assert "warning: 1 of 3 analyses used no data" in capsys.readouterr().out
    assert used.consistency.tolist() == pytest.approx([1.5, 1.5])
    assert used.gradient_reduction.tolist() == pytest.approx([0.004, 0.002])
    assert (used.consistency.mean(), used.gradient_reduction.mean()) == pytest.approx((1.5, 0.003))
    none = with_data(diagnose("a", analyses(tmp_path, [0, 0]), []).cycles)
    assert np.isnan(none.consistency.mean())
    assert np.isnan(none.gradient_reduction.mean())


def test_a_filter_is_consistent_where_departures_are_as_expected(tmp_path):
    paths = []
    for cycle, (count, value) in enumerate(((40, 1.2), (0, float("nan")), (20, 0.8))):
        path = tmp_path / name(TIME + timedelta(hours=6 * cycle)) / "observations.nc"
        about = {"used": count, "consistency": value, "evaluations": 0}
        write_observations(path, fitted().select(np.zeros(count, dtype=int)), about)
        paths.append(path)
    assert with_data(diagnose("a", paths, []).cycles).consistency.mean() == pytest.approx(1.0)


@pytest.mark.parametrize(("used", "passed"), [([40, 0], True), ([0, 0], False)])
def test_cycling_gates_and_costs_cope(tmp_path, used, passed):
    diagnostics = diagnose("a", analyses(tmp_path, used), []).cycles
    zero = np.zeros((69, *GRID.shape), dtype="f4")
    entries = [
        (TIME + timedelta(hours=6 * c), kind, 0, zero + 1, zero) for c in (0, 1) for kind in ("analysis", "background")
    ]
    scores = score_all("a", entries, GRID, zero)
    gates = cycling_gates(scores, {"a": "3dvar"}, {"a": name(TIME)}, diagnostics).table()
    assert gates[gates.gate == "consistency"].passed.tolist() == [passed]
    assert gates[gates.gate == "convergence"].passed.tolist() == [passed]
    assert cost(diagnostics, {}, tmp_path).loc[group("a"), "evaluations"] == sum(10 * (n > 0) for n in used) / 2


@pytest.mark.parametrize("tables", [[NOTHING], [REJECTED], [NOTHING, REJECTED, fitted()]])
def test_fits_of_nothing_are_empty_tables_that_can_be_shown(tables):
    written = []
    for function in (fit, rejections):
        table = function(tables)
        table.insert(0, "experiment", "a")
        written.append(pd.read_csv(io.StringIO(table.to_csv(index=False))))
    assert len(written[0]) == 2 * (len(tables) > 1)
    sections = shown(*written)
    withheld = "withheld" in set(written[0].status)
    assert len(sections) == (2 + withheld) * (len(written[1]) > 0)


def test_experiments_with_and_without_data_stand_side_by_side():
    fits, counts = [], []
    for experiment, table in (("a", REJECTED), ("b", fitted())):
        for function, parts in ((fit, fits), (rejections, counts)):
            part = function([table])
            part.insert(0, "experiment", experiment)
            parts.append(part)
    sections = shown(pd.concat(fits), pd.concat(counts))
    assert sections[0][2] == ["", "data", "a", "b", "interpolation"]
    assert sections[0][3][0][1] == "2", "of the first experiment that has any"
    assert sections[0][3][0][2:4] == ["no data", "3.54 / 1.58"]


def test_interpolation_between_data_on_one_parallel_says_nothing():
    table = fitted()
    line = table.with_columns(latitude=np.zeros(len(table), "f4"))
    assert np.isnan(interpolate(line, table.rejection == 0)).all()
