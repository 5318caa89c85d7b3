"""Data that an experiment is denied: the analysis is that without them, and they are compared with it all the same."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from cases import observations
from lora_envar.analysis.assimilate import assimilate
from lora_envar.fields.state import HEADLINE, VARIABLES
from lora_envar.observations.catalogue import CODES
from lora_envar.observations.families import FAMILIES, rows_of
from lora_envar.observations.table import REASONS
from lora_envar.plan.completion import ConfigurationError
from lora_envar.plan.prepare import prepare
from lora_envar.verification.denials import denials, shown
from lora_envar.verification.diagnostics import of_analysis
from lora_envar.verification.observation_fit import fit
from test_posterior import case, random_patterns


def reports():
    """Columns as soundings (masses 120, winds 220), every third as aircraft (130, 230)."""
    table = observations(12)
    wind = np.isin(table.variable, [CODES["u"], CODES["v"]])
    aircraft = np.arange(len(table)) % 3 == 0
    return table.with_columns(report_type=(120 + 100 * wind + 10 * aircraft).astype("i2"))


@pytest.mark.parametrize("groups", [("aircraft",), ("q", "soundings"), ("t",)])
def test_the_analysis_is_that_without_the_denied_data(groups):
    table = reports()
    rows = rows_of(table, groups)
    assert 0 < rows.sum() < len(table)
    model = random_patterns()
    denied = assimilate(replace(case(table=table), denied=groups), model, 1.0)
    without = assimilate(case(table=table.select(~rows)), model, 1.0)
    # data in another order of sums
    np.testing.assert_allclose(denied.state, without.state, rtol=0, atol=1e-5 * np.abs(without.state).max())
    assert (denied.observations.rejection == np.where(rows, REASONS["denied"], REASONS["used"])).all()
    assert np.isfinite(denied.observations.observation_minus_analysis).all()
    assert denied.attributes()["used"] == (~rows).sum()
    table = fit([denied.observations])
    assert set(table.status) == {"used", "denied"}
    assert table[table.status == "denied"]["count"].sum() == rows.sum()
    assert of_analysis(denied.attributes(), denied.observations)["denied"] == rows.sum()


def test_what_a_check_has_rejected_is_not_called_denied():
    table = reports()
    bad = table.with_columns(rejection=np.full(len(table), REASONS["quality_mark"], "i1"))
    result = assimilate(replace(case(table=bad), denied=("aircraft",)), random_patterns(), 1.0)
    assert (result.observations.rejection == REASONS["quality_mark"]).all()


def test_families_are_those_of_their_report_types():
    table = reports()
    assert (rows_of(table, ["aircraft"]) == np.isin(table.report_type, (130, 230))).all()
    assert (rows_of(table, ["soundings"]) == np.isin(table.report_type, (120, 220))).all()
    assert not rows_of(table, ["satellite_winds", "land_stations"]).any()
    assert not rows_of(table, []).any()
    assert not set(FAMILIES) & set(VARIABLES), "names are of one or the other"


def with_denial(config, **entry):
    control = config["experiments"]["vae_var"]
    config["experiments"]["vae_var_dry"] = {**control, "without": ["q"], **entry}
    return config


def test_an_experiment_is_compared_with_the_one_that_is_denied_nothing(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = prepare(with_denial(config))
    assert plan.verification.own_references["vae_var_dry"] == "vae_var"
    assert plan.verification.denied() == {"vae_var_dry": ["q"]}
    assert plan.verification.denials == ["results/denials.csv"]
    assert plan.experiments["vae_var"].without == []


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"without": ["aeroplanes"]}, r"experiments\.vae_var_dry\.without: unknown aeroplanes; known: soundings"),
        ({"without": []}, r"experiments\.vae_var_dry\.without"),
        ({"method": "no_assimilation", "vae": None}, "without: not allowed with method no_assimilation"),
    ],
)
def test_what_cannot_be_denied_is_refused(config, entry, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = with_denial(config, **entry)
    if config["experiments"]["vae_var_dry"]["vae"] is None:
        del config["experiments"]["vae_var_dry"]["vae"]
    with pytest.raises(ConfigurationError, match=said):
        prepare(config)


def comparison():
    """Every headline variable 5 % worse without, against the control and against another."""
    rows = []
    for experiment, reference in (("dry", "all"), ("dry", "other"), ("other", "all")):
        for name in HEADLINE:
            variable, level = (name, None) if name in VARIABLES else (name[0], int(name[1:]))
            rows.append((experiment, reference, variable, level, 5.0, 2.0, 8.0, 0.03, 20, 1))
    names = ["experiment", "reference", "variable", "level", "percent", "percent_low", "percent_high", "p_adjusted"]
    return pd.DataFrame(rows, columns=[*names, "n", "seeds"]).astype({"level": "Int64"})


def test_the_table_says_how_much_errors_grow_without_them():
    table = denials(comparison(), {"dry": ["q", "aircraft"]}, {"dry": "all", "other": "all"})
    assert len(table) == len(HEADLINE)
    assert set(table.reference) == {"all"}
    assert set(table.without) == {"q and aircraft"}
    headers, rows = shown(table)
    assert headers == ["left out", "experiment", *HEADLINE]
    assert rows == [["q and aircraft", "dry / all"] + ["+5.0* (+2.0 to +8.0)"] * len(HEADLINE)]
