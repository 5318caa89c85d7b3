"""Departures and what they imply: Desroziers' errors, tables over time, and adapters' distances."""

import json

import numpy as np
import pytest
import torch
from lora_envar.background.finetuning import finetune_cycle
from lora_envar.background.settings import AdapterSettings, FinetuneSettings
from lora_envar.observations.table import CODES, REASONS, Observations, write_observations
from lora_envar.verification.diagnostics import COLUMNS, diagnose, of_adapters, of_analysis
from lora_envar.verification.observation_fit import FIT_COLUMNS, fit
from safetensors.numpy import save_file

SIZE = 40000


def consistent(assumed_background=2.0, assumed_observation=1.0, rejection="used", seed=1):
    """Data of one variable whose background errs by 2 and that err by 1, analysed one by one with assumed errors."""
    random = np.random.default_rng(seed)
    departure = 2.0 * random.standard_normal(SIZE) + random.standard_normal(SIZE)
    gain = assumed_background**2 / (assumed_background**2 + assumed_observation**2)
    return Observations.build(
        variable=np.full(SIZE, CODES["t"]),
        pressure=np.full(SIZE, 500.0),
        latitude=random.uniform(-90, 90, SIZE),
        longitude=random.uniform(0, 360, SIZE),
        value=np.full(SIZE, 250.0),
        error=np.full(SIZE, assumed_observation),
        observation_minus_background=departure,
        observation_minus_analysis=(1 - gain) * departure,
        background_error=np.full(SIZE, assumed_background),
        rejection=np.full(SIZE, REASONS[rejection]),
    )


def test_desroziers_finds_the_errors_where_those_assumed_are_right():
    row = fit([consistent(), consistent(seed=2)]).iloc[0]
    assert list(row.index) == FIT_COLUMNS
    assert row.estimated_observation_error == pytest.approx(1.0, rel=0.02)
    assert row.estimated_background_error == pytest.approx(2.0, rel=0.02)
    assert row.background_over_expected == pytest.approx(1.0, rel=0.02)
    assert row.background_over_error == pytest.approx(5**0.5, rel=0.02)
    assert (row["count"], row.observation_error, row.background_error) == (2 * SIZE, 1.0, 2.0)


def test_a_background_error_that_is_assumed_too_large_shows():
    row = fit([consistent(assumed_background=4.0)]).iloc[0]
    # E[d_a d_b] = (1 - K)(4 + 1), E[(d_b - d_a) d_b] = K (4 + 1), K = 16 / 17
    assert row.estimated_observation_error == pytest.approx((5 / 17) ** 0.5, rel=0.02)
    assert row.estimated_background_error == pytest.approx((5 * 16 / 17) ** 0.5, rel=0.02)
    assert row.background_over_expected == pytest.approx((5 / 17) ** 0.5, rel=0.02)


def test_data_that_are_withheld_or_rejected_are_apart_and_estimate_nothing():
    table = fit([consistent(rejection="withheld"), consistent(rejection="background_check"), consistent()])
    assert list(table.status) == ["rejected", "used", "withheld"]
    assert table.set_index("status").estimated_observation_error.isna().to_dict() == {
        "rejected": True,
        "used": False,
        "withheld": True,
    }
    # those that no H was applied to have no departure, and are not there
    nowhere = consistent(rejection="gross_limits").with_columns(
        observation_minus_background=np.full(SIZE, np.nan, "f4")
    )
    assert set(fit([nowhere, consistent()]).status) == {"used"}


def test_a_row_per_cycle_says_what_the_analysis_said(tmp_path):
    path = tmp_path / "20090101T06" / "observations.nc"
    about = {
        "used": SIZE,
        "cost_at_background": 5.0 * SIZE / 2,
        "cost_at_analysis": SIZE / 2,
        "gradient_at_background": 100.0,
        "gradient_at_analysis": 1.0,
        "degrees_of_freedom_for_signal": 0.8 * SIZE,
        "evaluations": 21,
    }
    write_observations(path, consistent(), about)
    found = diagnose("a", [str(path)], [])
    table = found.cycles
    assert list(table.columns) == COLUMNS
    assert found.fit["count"].tolist() == found.rejections["count"].tolist() == [SIZE]
    assert diagnose("a", [str(path)] * 2, [], spin_up=1).fit["count"].tolist() == [SIZE], "after the spin-up"
    row = table.iloc[0]
    assert (row.experiment, row.valid_time) == ("a", "2009-01-01T06")
    assert (row.used, row.withheld, row.rejected, row.evaluations) == (SIZE, 0, 0, 21)
    assert row.consistency == pytest.approx(1.0)
    assert row.gradient_reduction == pytest.approx(0.01)
    assert row.signal_share == pytest.approx(0.8)
    assert row.observation_error_ratio == pytest.approx(1.0, rel=0.02)
    assert row.background_error_ratio == pytest.approx(1.0, rel=0.02)
    assert np.isnan(row.adapter_norm)


def test_an_analysis_without_data_says_what_it_can():
    empty = consistent().select(np.zeros(SIZE, bool))
    assert of_analysis({"evaluations": 0, "cost_at_analysis": 0.0, "cost_at_background": 0.0}, empty) == {
        "used": 0,
        "withheld": 0,
        "denied": 0,
        "rejected": 0,
        "evaluations": 0,
        "cost_at_background": 0.0,
        "cost_at_analysis": 0.0,
    }


def test_a_table_that_is_of_no_analysis_is_refused(tmp_path):
    path = tmp_path / "20090101T06" / "observations.nc"
    write_observations(path, consistent())
    with pytest.raises(ValueError, match="does not come from an analysis"):
        diagnose("a", [str(path)], [])


@pytest.mark.parametrize(("targets", "rank"), [("latents", 2), ("scale", None)])
def test_adapters_say_how_far_they_are_from_the_pretrained_model(small_vae, tmp_path, targets, rank):
    """Nothing before there are members; with them, as far as the norm of what is added says."""
    settings = FinetuneSettings(
        member_source="own", normalisation="amplitude", ensemble_amplitude=30.0, minimum_members=2
    )
    added = AdapterSettings(targets, rank) if rank else AdapterSettings(targets)
    path = tmp_path / "adapters.safetensors"
    none = finetune_cycle(small_vae, None, settings, added, (1, "t"), progress=lambda _: None)
    none.save(path)
    assert of_adapters(path)["adapter_distance"] == pytest.approx(0.0, abs=1e-6)
    members = 3.0 * torch.randn(5, 69, 16, 32, generator=torch.Generator().manual_seed(1))
    small_vae.prior = type(none.vae.prior)(
        *([] if rank is None else [none.vae.prior.up.shape[0], rank]), small_vae.deviation
    )
    tuned = finetune_cycle(small_vae, members, settings, added, (1, "t"), progress=lambda _: None)
    tuned.save(path)
    found = of_adapters(path)
    assert found["adapter_distance"] == pytest.approx(tuned.distance)
    assert found["adapter_distance"] > 0.01
    assert found["adapter_norm"] > 0


def test_a_file_that_is_none_of_adapters_is_refused(tmp_path):
    path = tmp_path / "adapters.safetensors"
    save_file({"a": np.zeros(2)}, path, {"settings": json.dumps({"members": 3})})
    with pytest.raises(ValueError, match="is not a file of adapters"):
        of_adapters(path)
