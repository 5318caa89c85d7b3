"""Bytes to download, to write and to keep follow from the configuration."""

import pytest
import yaml
from conftest import ROOT
from lora_envar.archive import SOURCES
from lora_envar.plan.storage import as_text, readable, requirements, state_bytes


def test_sizes_of_states_and_sources():
    quarter = {"latitudes": 721, "longitudes": 1440}
    points = 721 * 1440
    assert state_bytes(quarter) == 69 * points * 4 == 286_554_240
    full = (4 + 5 * 37) * points * 4
    assert SOURCES["arco"].bytes_per_time({}, points) == full
    coarse = {"path": "gs://somewhere/coarse.zarr"}
    assert SOURCES["arco"].bytes_per_time(coarse, 240 * 121) == 69 * 240 * 121 * 4
    assert SOURCES["cds"].bytes_per_time({}, points) == 69 * points * 2
    assert SOURCES["files"].bytes_per_time({"path": "here"}, points) == 0


def test_a_training_archive_of_its_own_saves_terabytes():
    config = yaml.safe_load((ROOT / "config" / "era5.yaml").read_text())
    counts = {
        "training_times": 54056,
        "archive_times": 300,
        "samples": 13512,
        "model_errors": 300,
        "reports": 124,
        "reanalysis_members": 0,
        "experiments": {
            "lora_envar": {
                "cycles": 124,
                "forecasts": 88,
                "members": 984,
                "ensemble": 0,
                "increments": 6,
                "samples": 0,
                "vaes": 0,
                "vae": "grid",
            }
        },
    }
    table = requirements(config, counts, {"grid": 1000}).set_index("item")
    assert table.loc["states of the training archive", "keep"] == 54056 * 69 * 128 * 256 * 4
    assert table.loc["files of reports", "download"] == 124 * 60_000_000
    assert table.loc["lora_envar: increments of single observations", "keep"] == 6 * 69 * 128 * 256 * 4
    assert table.loc["lora_envar: analyses", "keep"] == 124 * 286_554_240
    passing = [
        "files of reports",
        *(f"lora_envar: {kind}" for kind in ("backgrounds", "medium-range forecasts", "members")),
    ]
    assert (table.loc[passing, "keep"] == 0).all()
    assert (table.loc[passing[1:], "write"] == [124 * 286_554_240, 88 * 286_554_240, 984 * 69 * 128 * 256 * 4]).all()
    assert (table.drop(passing)["keep"] == table.drop(passing)["write"]).all()
    assert "members from the reanalysis" not in table.index, "rows of nothing are left out"
    everything = requirements(
        {**config, "cycling": {**config["cycling"], "keep_forecasts": True}}, counts, {"grid": 1000}
    )
    assert everything.keep.sum() - table.keep.sum() == table.loc[passing[1:], "write"].sum()
    counts["experiments"]["full_finetuning"] = {
        "cycles": 124,
        "forecasts": 0,
        "members": 0,
        "ensemble": 0,
        "increments": 0,
        "samples": 16 * 10,
        "vaes": 124,
        "vae": "grid",
    }
    with_weights = requirements(config, counts, {"grid": 1000}).set_index("item")
    assert list(with_weights.loc["full_finetuning: weights of the VAE"]) == [124, 0, 124_000, 0]
    assert list(with_weights.loc["full_finetuning: samples about analyses"]) == [160, 0, 160 * 286_554_240, 0]
    del counts["experiments"]["full_finetuning"]
    cycled = {"cycles": 124, "forecasts": 0, "members": 0, "ensemble": 2 * 124 * 40, "increments": 0, "samples": 0}
    cycled |= {"vaes": 0, "vae": None}
    counts["experiments"]["letkf"] = cycled
    of_members = requirements(config, counts, {"grid": 1000}).set_index("item").loc["letkf: cycled ensemble"]
    assert list(of_members) == [9920, 0, 9920 * 286_554_240, 0]
    assert table.loc["errors of the forecast model", "keep"] == 300 * 69 * 128 * 256 * 4
    del counts["experiments"]["letkf"]
    at_full_scale = requirements(
        {**config, "training": {**config["training"], "grid": config["grid"]}}, counts, {"grid": 1000}
    )
    assert at_full_scale.keep.sum() - table.keep.sum() > 10e12
    assert "together" in as_text(table.reset_index())


@pytest.mark.parametrize(("size", "text"), [(999, "999 B"), (12_345, "12.3 kB"), (15e12, "15 TB"), (0, "0 B")])
def test_sizes_for_people(size, text):
    assert readable(size) == text
