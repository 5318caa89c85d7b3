"""Replicates: one experiment a seed, its own network, and pairs by seed."""

import copy

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import ROOT
from lora_envar.fields.state import HEADLINE
from lora_envar.files.provenance import group
from lora_envar.plan.completion import without_dropped
from lora_envar.plan.configuration import check
from lora_envar.plan.replicates import expand, with_networks
from lora_envar.plan.schema import check_schema
from lora_envar.verification.ensemble import COLUMNS as ENSEMBLE_COLUMNS
from lora_envar.verification.means import Means
from lora_envar.verification.results import cost, page
from lora_envar.verification.score import COLUMNS
from lora_envar.verification.significance import compare
from snakemake.utils import update_config


def test_every_seed_gets_its_experiment_network_and_donor(config):
    base = copy.deepcopy(config)
    config["experiments"]["latent_lora"]["seeds"] = [1, 2]
    config["experiments"]["shuffled"] = {
        **config["experiments"]["latent_lora"],
        "settings": {"member_source": "other_days"},
        "donor": "latent_lora",
    }
    check_schema(copy.deepcopy(config))
    expand(config)
    check(config)
    experiments = config["experiments"]
    assert [name for name in experiments if group(name) == "latent_lora"] == [
        "latent_lora_seed_1",
        "latent_lora_seed_2",
    ]
    second = experiments["shuffled_seed_2"]
    assert (second["seed"], second["donor"], second["observations"]) == (
        2,
        "latent_lora_seed_2",
        "quasi_uniform_700_seed_2",
    )
    assert config["observations"]["quasi_uniform_700_seed_2"]["seed"] == 2
    assert experiments["vae_var"] == base["experiments"]["vae_var"]


@pytest.mark.parametrize(
    "name",
    ["comparison", "ablations", "single_step", "four_dimensional", "twin", "claim", "error_variables", "amplitudes"],
)
def test_shipped_overlays_pass(config, name):
    update_config(config, yaml.safe_load((ROOT / "config" / f"{name}.yaml").read_text()))
    without_dropped(config)
    check_schema(copy.deepcopy(config))
    with_networks(config)
    expand(config)
    check(config)


def scores(values):
    """Analysis errors of z500 alone, by experiment."""
    rows = []
    for experiment, series in values.items():
        for cycle, value in enumerate(series):
            entry = ["analysis", 0, "z", 500, "global", "rmse", value, "m2 s-2"]
            rows.append([experiment, f"2009-05-{1 + cycle // 4:02d}T{6 * (cycle % 4):02d}", *entry])
    return pd.DataFrame(rows, columns=COLUMNS)


def test_pairs_are_of_the_same_seed():
    """Seeds differ by much more than methods: unpaired, the difference would be lost."""
    draws = np.random.default_rng(1)
    level = {1: 10 + draws.normal(size=20), 2: 50 + draws.normal(size=20)}
    table = compare(
        scores(
            {f"a_seed_{s}": level[s] - 1 for s in (1, 2)}
            | {f"b_seed_{s}": level[s] for s in (1, 2)}
            | {"c_seed_2": level[2] + 5}
        ),
        ["b"],
        200,
        1,
    ).set_index("experiment")
    assert table.mean_difference["a"] == pytest.approx(-1.0)
    assert (table.n["a"], table.seeds["a"], table.p_value["a"]) == (20, 2, pytest.approx(1 / 201))
    assert (table.mean_difference["c"], table.seeds["c"]) == (pytest.approx(5.0), 1)


def test_the_page_says_what_the_tables_say(tmp_path):
    folder = tmp_path / "assimilate" / "a_seed_1"
    folder.mkdir(parents=True)
    for index, seconds in enumerate((2.0, 4.0)):
        (folder / f"{index}.tsv").write_text(f"s\th:m:s\n{seconds}\t0:00:01\n")
    diagnostics = pd.DataFrame({"experiment": ["a_seed_1", "a_seed_1", "b_seed_1"], "evaluations": [10, 30, 5]})
    costs = cost(diagnostics, {"b_seed_1": "a_seed_1"}, tmp_path)
    assert costs.loc["a"].to_dict() == {"evaluations": 20, "finetuning": 0, "analysis": 3, "forecast": 0, "filter": 0}
    assert costs.loc["b", "filter"] == 3, "what its members cost, it costs too"
    names = [
        (name[0], int(name[1:])) if name[1:].isdigit() and name[0] in "ztuvq" else (name, pd.NA) for name in HEADLINE
    ]
    comparison = pd.DataFrame(
        {
            "experiment": "a",
            "reference": "b",
            "variable": [variable for variable, _ in names],
            "level": pd.array([level for _, level in names], dtype="Int64"),
            "mean_difference": -2.0,
            "percent": -4.0,
            "percent_low": -6.0,
            "percent_high": -2.0,
            "p_adjusted": [0.049] * 5 + [0.051] * 5,
            "n": 20,
            "block_cycles": 4,
            "blocks": 5.0,
            "seeds": 2,
        }
    )
    known = pd.DataFrame([[8, 0.91, 0.2, 0.1]], index=["a"], columns=ENSEMBLE_COLUMNS[2:])
    errors = pd.DataFrame({"a": 1.25, "b": 2.5}, index=list(HEADLINE))
    means = Means(errors, 20, "2009-01-01T00", "2009-01-05T18")
    text = page("Results", [means], comparison, costs, ["About."], [Means(known, 20, "2009-01-01T00", "2009-01-05T18")])
    assert text.count("**-4.0** (-6.0 to -2.0)") == 5 and text.count("| -4.0 (-6.0 to -2.0)") == 5
    assert "Means over the 20 cycles that all columns have, 2009-01-01T00 to 2009-01-05T18." in text
    assert "| 20 | 5 to 5 |" in text
    assert "| z500, m2 s-2 | 1.25 | 2.5 |" in text
    assert "| a | 0.0 | 3.0 | 0.0 | 0.0 | 3.0 | 20 |" in text
    assert "| a | 8 | 0.910 | 0.200 | 0.100 |" in text
