"""The benchmark of the shipped scales: every item has numbers or a reason, and counts what it says."""

import json
import math

import pytest
import scales
import torch
from scale_items.items import all_items
from scale_items.measuring import StoppedError, in_child, measure
from scale_items.world import CONFIGURATIONS, World

NUMBERS = ("seconds", "cpu_seconds", "repeats", "flop", "peak_bytes", "share_of_peak")


def test_items_have_finite_numbers_or_a_reason(tmp_path, capsys):
    given = ["--scale", "example", "--only", "genbe_adjoint,read_state,forecast:forecast_model", "--in-process"]
    limits = ["--seconds", "0.01", "--threads", "1", "--folder", str(tmp_path), "--json", str(tmp_path / "a.json")]
    scales.main([*given, *limits])
    printed = capsys.readouterr().out
    results = json.loads((tmp_path / "a.json").read_text())
    assert results["items"].keys() == {"genbe_adjoint", "read_state", "forecast:forecast_model"}
    for name, entry in results["items"].items():
        assert f"| {name} " in printed
        assert all(math.isfinite(entry[number]) and entry[number] >= 0 for number in NUMBERS)
        assert entry["seconds"] > 0 and entry["peak_bytes"] > 0
    assert results["items"]["genbe_adjoint"]["flop"] > 1e6
    assert results["items"]["read_state"]["flop"] == 0
    assert results["machine"]["torch"] == torch.__version__
    scales.main([*given, *limits, "--memory", "0.1"])
    printed = capsys.readouterr().out
    results = json.loads((tmp_path / "a.json").read_text())
    for name, entry in results["items"].items():
        assert "more than the 0.1 GB of --memory" in entry["reason"]
        assert f"| {name} " in printed and f"not run: {entry['reason']}" in printed


def test_no_kind_of_item_vanishes_at_any_scale(tmp_path):
    kinds = {}
    for scale in CONFIGURATIONS:
        (tmp_path / scale).mkdir()
        items = all_items(World(scale, tmp_path / scale))
        assert all(bool(item.reason) == (item.prepare is None) for item in items)
        assert len({item.name for item in items}) == len(items)
        kinds[scale] = {item.name.partition(":")[0] for item in items}
        lora = [item for item in items if "latent_lora" in item.name]
        assert {item.name for item in lora} == {f"{k}:latent_lora" for k in ("cost_gradient", "analysis", "finetuning")}
    assert kinds["example"] == kinds["1p5"] == kinds["paper"]


def test_an_unknown_item_is_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match="there is no vae_sideways"):
        scales.main(["--scale", "example", "--only", "vae_sideways", "--in-process", "--folder", str(tmp_path)])


def test_operations_are_those_of_products_and_attention():
    query = torch.randn(3, 2, 16, 8, requires_grad=True)
    weight = torch.randn(8, 5)

    def call():
        attended = torch.nn.functional.scaled_dot_product_attention(query, query, query)
        (attended @ weight).sum().backward()

    measured = measure(call, "cpu", 0.01)
    # scores and their use, each a product of (16, 8) and (8, 16) per head; five such products backward
    attention = 3 * 2 * 2 * 16 * 16 * 8
    product = 3 * 2 * 2 * 16 * 8 * 5
    assert measured.flop == (2 + 5) * attention + 2 * product  # the weight needs no gradient
    assert not any("attention" in name for name in measured.uncounted)


def test_what_a_child_meets_is_said():
    assert in_child(lambda: {"a": 1}, 60.0) == {"a": 1}

    def fail():
        raise ZeroDivisionError("by nothing")

    with pytest.raises(StoppedError, match="ZeroDivisionError: by nothing"):
        in_child(fail, 60.0)
