"""What the attributes of files say of how they came about."""

import re
from types import SimpleNamespace

import pytest
from lora_envar.files.provenance import described
from lora_envar.plan.replicates import expand


def job(wildcards, params=None):
    return SimpleNamespace(wildcards=wildcards, params=params or {})


def test_a_replicate_is_described_by_its_name_and_its_seed():
    config = {
        "experiments": {"hybrid": {"observations": "sparse", "seeds": [2, 31]}},
        "observations": {"sparse": {"columns": 7}},
    }
    expand(config)
    found = [described(job({"experiment": name})) for name in config["experiments"]]
    assert [attributes["seed"] for attributes in found] == [2, 31]
    assert [attributes["experiment"] for attributes in found] == list(config["experiments"])


@pytest.mark.parametrize(
    ("wildcards", "named"),
    [
        ({"experiment": "3dvar", "time": "20090101T00"}, {"experiment": "3dvar"}),
        ({"first": "hybrid_seed_2/20090101T00"}, {"experiment": "hybrid_seed_2", "seed": 2}),
        ({"block": "2009"}, {}),
    ],
)
def test_only_what_is_of_an_experiment_names_it(wildcards, named):
    found = described(job(wildcards))
    assert re.fullmatch("[0-9a-f]{12}", found.pop("settings_digest"))
    assert found == named


def test_the_digest_is_of_the_settings_and_not_of_their_order():
    digests = [
        described(job({}, params))["settings_digest"]
        for params in ({"a": 1, "b": {"c": 2}}, {"b": {"c": 2}, "a": 1}, {"a": 1, "b": {"c": 3}})
    ]
    assert digests[0] == digests[1]
    assert digests[0] != digests[2]
