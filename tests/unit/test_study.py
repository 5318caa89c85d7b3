"""A study: families of experiments on several networks, compared on one network at a time, in several worlds."""

import copy

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import ROOT
from lora_envar.plan.completion import ConfigurationError, without_dropped
from lora_envar.plan.prepare import prepare
from lora_envar.plan.replicates import with_networks
from lora_envar.plan.schema import check_schema
from lora_envar.plan.study import StudyPlan, check_study
from lora_envar.verification.figures import SHOWN_PERCENT, gain_curves
from lora_envar.verification.results import study_page
from lora_envar.verification.significance import compare
from lora_envar.verification.study import COLUMNS, Member, study
from snakemake.utils import update_config
from test_significance import scores

NETWORKS = [f"quasi_uniform_{columns}" for columns in (16, 63, 125, 250, 500, 700)]


@pytest.fixture
def claim(config):
    update_config(config, yaml.safe_load((ROOT / "config" / "claim.yaml").read_text()))
    config["archive"]["path"] = str(ROOT / config["archive"]["path"])
    return config


@pytest.fixture
def planned(claim, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return prepare(claim), claim


def test_every_network_gets_its_experiment(planned):
    plan, config = planned
    names = [f"vae_var_{network}" for network in NETWORKS]
    assert [name for name in plan.experiments if name.startswith("vae_var_quasi")] == names
    assert [config["experiments"][name]["observations"] for name in names] == NETWORKS
    assert config["verification"]["references"][: len(names)] == names
    assert isinstance(plan.verification.study, StudyPlan)
    assert plan.verification.study.members["lora_envar_quasi_uniform_125"] == ("lora_envar", 125)
    assert plan.verification.study.scores[0] == "../real/results/scores.csv"
    assert plan.verification.networks()["hybrid_quasi_uniform_16"] == "quasi_uniform_16"


def test_seeds_and_donors_follow_the_network(config):
    donor = {**config["experiments"]["latent_lora"], "observations": ["quasi_uniform_700", "published_columns"]}
    config["experiments"]["donor"] = donor | {"seeds": [1, 2]}
    config["experiments"]["other"] = donor | {"settings": {"member_source": "other_days"}, "donor": "donor"}
    config["experiments"]["filter"] = donor | {"method": "letkf"}
    config["experiments"]["shared"] = donor | {"method": "hybrid", "ensemble_of": "filter"}
    check_schema(copy.deepcopy(config))
    with_networks(config)
    assert config["experiments"]["other_published_columns"]["donor"] == "donor_published_columns"
    assert config["experiments"]["donor_quasi_uniform_700"]["seeds"] == [1, 2]
    assert config["experiments"]["shared_quasi_uniform_700"]["ensemble_of"] == "filter_quasi_uniform_700"
    assert "other" not in config["experiments"]


def test_a_study_that_cannot_be_made_is_refused(claim):
    without_dropped(claim)
    with_networks(claim)
    check_study(claim)
    claim["study"]["references"] = ["nothing"]
    with pytest.raises(ConfigurationError, match="'nothing' is not a family; known: 3dvar, hybrid"):
        check_study(claim)
    claim["observations"]["quasi_uniform_16"] = {"source": "prepbufr"}
    with pytest.raises(ConfigurationError, match="3dvar_quasi_uniform_16 uses the network quasi_uniform_16"):
        check_study(claim)


def test_only_experiments_with_the_same_observations_are_compared():
    series = (0, 10 + np.random.default_rng(1).standard_normal((20, 10)))
    table = scores(dict.fromkeys(("a", "b", "c", "none"), series))
    networks = {"a": "dense", "b": "dense", "c": "sparse", "none": None}
    found = compare(table, ["a", "none"], 100, 1, networks)
    assert set(zip(found.experiment, found.reference, strict=True)) == {
        ("b", "a"),
        ("none", "a"),
        ("a", "none"),
        ("b", "none"),
        ("c", "none"),
    }


def test_families_are_compared_on_each_network_of_each_world():
    """What is 10 % better in every variable is, in the mean over variables of any units, with ten that are better."""
    random = np.random.default_rng(1)
    units = np.logspace(-4, 3, 10)
    base = units * (10 + random.standard_normal((40, 10)))
    noise = 1 + 0.001 * random.standard_normal((40, 10))
    members = {f"{family}_{count}": Member(family, count) for family in ("static", "ours") for count in (16, 700)}
    first = dict.fromkeys(members, "20090101T00")
    dense = {"static_700": (0, base), "ours_700": (0, 0.9 * base * noise)}
    sparse = {"static_16": (0, 5 * base), "ours_16": (0, 5 * base * noise)}
    worlds = {"real": scores({**dense, **sparse}), "twin": scores(dense)}
    table = study(worlds, members, first, ["static"], 500, 1)
    assert tuple(table.columns) == COLUMNS
    found = table.set_index(["world", "columns"])
    assert set(found.index) == {("real", 16), ("real", 700), ("twin", 700)}
    assert (table.family == "ours").all()
    for world in worlds:
        row = found.loc[world, 700]
        assert row.percent == pytest.approx(-10, abs=0.1)
        assert row.percent_low < row.percent < row.percent_high
        assert (row.better, row.worse, row.cycles) == (10, 0, 40)
    assert abs(found.percent["real", 16]) < 0.1
    assert found.better["real", 16] + found.worse["real", 16] <= 1
    page = study_page("Title", table, 500)
    assert "## real: against static, %" in page
    assert "|  | 16 columns | 700 columns |" in page
    assert "10 better, 0 worse" in page
    assert row.z500_reference == pytest.approx(base[:, 0].mean(), rel=1e-3), "z500 is the first of ten"
    own, reference = row.z500, row.z500_reference
    assert own == pytest.approx(0.9 * reference, rel=1e-3)
    assert "## twin: z500, m2 s-2" in page
    twin = page.partition("## twin: z500")[2]
    assert f"| ours | {own:.3g} |" in twin and f"| static | {reference:.3g} |" in twin


def test_the_figure_shows_every_row_within_its_limits_or_at_their_edge(tmp_path):
    table = pd.DataFrame(
        [
            (world, family, columns, reference, percent, percent - 5, percent + 500)
            for world in ("real", "twin")
            for family in ("ours", "theirs")
            for reference in ("static", "fixed")
            for columns, percent in ((16, -3.0), (700, 2.0))
        ],
        columns=list(COLUMNS[:7]),
    )

    def drawn(percent):
        table.loc[0, "percent"] = percent
        gain_curves(tmp_path / "study.png", table, 2048)
        return (tmp_path / "study.png").read_bytes()

    inside = drawn(-3.0)
    assert inside == drawn(-3.0)
    assert len({inside, drawn(5.0), drawn(2 * SHOWN_PERCENT), drawn(-2 * SHOWN_PERCENT)}) == 4
    assert drawn(2 * SHOWN_PERCENT) == drawn(3 * SHOWN_PERCENT)


def test_without_pairs_the_table_is_empty():
    table = study(
        {"real": scores({"a": (0, np.ones((4, 10)))})}, {"a": Member("a", 1)}, {"a": "20090101T00"}, ["b"], 9, 1
    )
    assert table.empty and tuple(table.columns) == COLUMNS


def test_a_pair_without_common_cycles_or_seeds_is_passed_over_with_a_warning(capsys):
    base = 10 + np.random.default_rng(1).standard_normal((20, 10))
    early_and_late = scores({"ours": (0, base), "static": (20, base), "theirs_seed_1": (0, base)})
    members = {name: Member(name, 700) for name in ("ours", "static", "theirs")}
    first = dict.fromkeys(early_and_late.experiment.unique(), "20090101T00")
    table = study({"real": early_and_late}, members, first, ["static", "ours"], 100, 1)
    assert table.empty and tuple(table.columns) == COLUMNS
    said = capsys.readouterr().out
    assert "warning: ours and static are not compared, because they have 0 cycles in common" in said
    assert compare(early_and_late, ["static", "ours"], 100, 1).empty
    assert "warning: theirs and ours are not compared" in capsys.readouterr().out
