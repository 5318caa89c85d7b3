"""The spread about analyses beside their error: the table's numbers, the figure, and which analyses are looked at."""

import copy

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from lora_envar.fields.grid import Grid
from lora_envar.fields.state import channel_index
from lora_envar.plan.analysis_spread import check_analysis_spread
from lora_envar.plan.completion import ConfigurationError, without_dropped
from lora_envar.plan.plan import Plan
from lora_envar.plan.replicates import expand, with_networks
from lora_envar.verification.analysis_spread import COLUMNS, SpreadAndError, of_experiments, table_of
from lora_envar.verification.analysis_spread_figure import analysis_spread

GRID = Grid("gaussian", 16, 32)
SHAPE = (69, *GRID.shape)


def drawn(seed, size=1.0):
    return size * np.random.default_rng(seed).standard_normal(SHAPE)


def entries(sizes, cycles=6):
    """An experiment by its name, whose spread is 2, and whose errors are of a size."""
    truth = drawn(0)
    for name, size in sizes.items():
        for cycle in range(cycles):
            yield name, np.full(SHAPE, 2.0), truth + drawn((cycle, len(name)), size), truth


def test_spread_over_error_is_one_where_the_spread_is_right():
    table = table_of(of_experiments(entries({"right": 2.0, "sure": 4.0}), GRID))
    assert list(table.columns) == COLUMNS
    assert len(table) == 2 * 4 * 69
    assert (table.cycles == 6).all()
    assert (table.spread == 2.0).all()
    ratio = table[table.region == "global"].groupby("experiment").spread_over_error.mean()
    # 6 x 512 errors a channel, 69 channels
    assert ratio.right == pytest.approx(1.0, abs=0.01)
    assert ratio.sure == pytest.approx(0.5, abs=0.005)
    row = table[(table.variable == "z") & (table.level == 500) & (table.region == "north")].iloc[0]
    assert row.spread_over_error == row.spread / row.error


def test_squares_are_averaged_over_area_and_cycles():
    """Spreads of 1 and 7 are one of 5; a hemisphere with an error of 2 is one of sqrt(2) of the globe."""
    found = SpreadAndError(GRID)
    truth = np.zeros(SHAPE)
    analysis = np.zeros(SHAPE)
    analysis[:, GRID.latitude > 0] = 2.0
    for spread in (1.0, 7.0):
        found.add(np.full(SHAPE, spread), analysis, truth)
    table = found.table("x").set_index(["region", "variable"])
    assert table.spread.to_numpy() == pytest.approx(5.0)
    assert table.loc["global"].error.to_numpy() == pytest.approx(2.0**0.5)
    assert table.loc["north"].error.to_numpy() == pytest.approx(2.0)
    assert table.loc["south"].error.to_numpy() == pytest.approx(0.0)
    np.testing.assert_allclose(found.by_latitude("error")[11], np.where(GRID.latitude > 0, 2.0, 0.0))
    smooth = found.map_of("error", channel_index("z500"))
    assert smooth.min() >= 0.0
    assert GRID.mean(smooth**2) == pytest.approx(2.0, rel=0.05), "smoothing keeps the mean of squares"


def test_the_figure_is_the_same_bytes_of_the_same_spread(tmp_path):
    coastline = pd.read_csv(ROOT / "resources" / "coastline.csv")
    bytes_of = []
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
        paths = [tmp_path / folder / f"figure.{kind}" for kind in ("svg", "png")]
        analysis_spread(paths, of_experiments(entries({"right": 2.0, "sure": 4.0}, 1), GRID), coastline)
        bytes_of.append([path.read_bytes() for path in paths])
    assert bytes_of[0] == bytes_of[1]
    assert len(bytes_of[0][1]) > 50_000


@pytest.fixture
def spread(config):
    config["verification"]["analysis_spread"] = {"experiments": ["vae_var", "3dvar"], "samples": 4, "every_hours": 24}
    return config


def test_scored_analyses_are_looked_at_every_so_many_hours(spread):
    plan = Plan(spread)
    assert plan.verification.spread.names == ["vae_var", "3dvar"], "as they are named"
    times = plan.verification.spread.times(plan.experiments["vae_var"])
    assert times == [f"200904{day}T00" for day in (28, 29, 30)] + ["20090501T00"]
    assert plan.verification.spread.times(plan.experiments["hybrid"]) == []
    files = plan.verification.spread.compared()
    assert files["spreads"][:2] == [f"results/vae_var/{time}/analysis_spread.nc" for time in times[:2]]
    assert [path.rpartition("/")[0] for path in files["spreads"]] == [
        path.rpartition("/")[0] for path in files["analyses"]
    ]
    assert plan.verification.spread.experiment_of_each == ["vae_var"] * 4 + ["3dvar"] * 4
    assert plan.verification.spread.files == ["results/figures/analysis_spread.png", "results/analysis_spread.csv"]
    counts = plan.counts()["experiments"]
    assert (counts["vae_var"]["samples"], counts["hybrid"]["samples"]) == (16, 0)


def test_all_variational_experiments_are_looked_at_where_none_is_named_and_none_where_the_list_is_empty(spread):
    del spread["verification"]["analysis_spread"]["experiments"]
    assert Plan(spread).verification.spread.names == [
        "3dvar",
        "hybrid",
        "vae_var",
        "latent_lora",
        "vae_var_grid",
        "lora_envar",
    ]
    spread["verification"]["analysis_spread"]["experiments"] = []
    assert Plan(spread).verification.spread.files == []
    del spread["verification"]["analysis_spread"]
    assert Plan(spread).verification.spread.files == []
    assert Plan(spread).verification.spread.compared() == {"spreads": [], "analyses": [], "archive": []}


def test_of_replicates_the_first_is_looked_at(spread):
    vae_var = spread["experiments"]["vae_var"]
    del vae_var["seed"]
    vae_var["seeds"] = [3, 4]
    expand(spread)
    check_analysis_spread(spread)
    plan = Plan(spread)
    assert plan.verification.spread.names == ["vae_var_seed_3", "3dvar"]
    assert set(plan.verification.spread.experiment_of_each) == {"3dvar", "vae_var"}


def test_experiments_on_several_networks_are_looked_at_on_each(spread):
    spread["experiments"]["vae_var"]["observations"] = ["quasi_uniform_700", "published_columns"]
    with_networks(spread)
    check_analysis_spread(spread)
    expected = ["vae_var_quasi_uniform_700", "vae_var_published_columns", "3dvar"]
    assert Plan(spread).verification.spread.names == expected


def test_a_dropped_experiment_is_not_looked_at(spread):
    spread["experiments"]["3dvar"] = None
    without_dropped(spread)
    assert spread["verification"]["analysis_spread"]["experiments"] == ["vae_var"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"every_hours": 9}, r"analysis_spread\.every_hours: 9 h is not a multiple of cycling\.step_hours, 6 h"),
        ({"experiments": ["4dvar"]}, r"analysis_spread\.experiments: '4dvar' is not an experiment; known: no_assim"),
        (
            {"experiments": ["no_assimilation"]},
            r"no_assimilation \(method no_assimilation\) minimises no cost function",
        ),
    ],
)
def test_what_cannot_be_is_refused(spread, changes, message):
    wrong = copy.deepcopy(spread)
    wrong["verification"]["analysis_spread"] |= changes
    with pytest.raises(ConfigurationError, match=message):
        check_analysis_spread(wrong)
