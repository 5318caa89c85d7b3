"""Candidates are all combinations, the best wins, and the test period is out of reach."""

import copy

import pandas as pd
import pytest
import yaml
from lora_envar.fields.state import HEADLINE
from lora_envar.plan.completion import ConfigurationError, with_found_settings
from lora_envar.plan.configuration import check
from lora_envar.plan.search import candidates
from lora_envar.verification.ranking import best, rank
from lora_envar.verification.score import COLUMNS


@pytest.fixture
def config(config):
    config["search"]["candidates"] = {
        "vae_var": {"vae": "spectral", "background_weight": [1.0, 2.0], "residual_amplitude": [0.0, 1.0]},
        "hybrid": {"ensemble_size": 4, "alpha": [0.5, 0.9]},
    }
    return config


def test_candidates_are_all_combinations(config):
    found = candidates(config)
    assert [found[f"search_vae_var_{i:02d}"]["settings"] for i in range(4)] == [
        {"background_weight": weight, "residual_amplitude": amplitude}
        for weight in (1.0, 2.0)
        for amplitude in (0.0, 1.0)
    ]
    assert found["search_hybrid_01"]["ensemble_size"] == 4
    assert found["search_hybrid_01"]["settings"] == {"alpha": 0.9}
    assert len(found) == 6
    check(config)


def test_the_smallest_error_over_the_headline_variables_wins(config):
    experiments = candidates(config)
    rows = []
    for number, name in enumerate(experiments):
        for variable in HEADLINE:
            letters = variable.rstrip("0123456789")
            upper = variable not in ("u10", "v10", "t2m", "msl")
            level = int(variable[len(letters) :]) if upper else None
            # the fourth candidate is best in nine of ten, the last one in one
            value = {3: 1.0, 5: 0.5 if variable == "z500" else 3.0}.get(number, 2.0)
            for time in ("20090412T00", "20090412T06"):
                row = dict.fromkeys(COLUMNS)
                row |= {"experiment": name, "variable": letters if upper else variable, "level": level, "value": value}
                rows.append(row | {"valid_time": time, "kind": "analysis", "region": "global", "metric": "rmse"})
    table = rank(pd.DataFrame(rows), experiments)
    assert best(table) == {
        "vae_var": {"background_weight": 2.0, "residual_amplitude": 1.0},
        "hybrid": {"alpha": 0.5},
    }
    assert table.set_index("candidate").ratio["search_vae_var_03"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"period": ["2009-04-20T00", "2009-04-26T00"]}, r"search\.period: .* overlaps with experiments\.no_assim"),
        (
            {"candidates": {"vae_var": {"vae": "spectral", "epochs": [1]}}},
            r"search_vae_var_00\.settings: unknown settings epochs; vae_var has background_weight",
        ),
        ({"candidates": {"hybrid": {"alpha": [0.5]}}}, r"search_hybrid_00\.ensemble_size: missing"),
        ({"observations": "none"}, r"search_vae_var_00\.observations"),
    ],
)
def test_a_search_that_cannot_be_run_is_refused(config, change, message):
    config["search"] |= change
    with pytest.raises(ConfigurationError, match=message):
        check(config)


def test_found_settings_stand_where_the_configuration_says_nothing(config, tmp_path):
    path = tmp_path / "tuned.yaml"
    path.write_text(yaml.safe_dump({"vae_var": {"background_weight": 7.0, "residual_amplitude": 5.0}}))
    tuned = copy.deepcopy(config) | {"found_settings": str(path)}
    tuned["methods"]["vae_var"] = {"background_weight": 9.0}
    with_found_settings(tuned)
    assert tuned["methods"]["vae_var"] == {"background_weight": 9.0, "residual_amplitude": 5.0}, "one's own value wins"
    del tuned["methods"]["3dvar"]["background_weight"]
    with pytest.raises(ConfigurationError, match=r"methods\.3dvar\.background_weight: missing, both here and in found"):
        check(tuned)
    path.write_text(yaml.safe_dump({"vae_var": {"weight": 7.0}}))
    with pytest.raises(ConfigurationError, match=r"has unknown settings of vae_var: weight; known: background_weight"):
        with_found_settings(tuned)
    with pytest.raises(ConfigurationError, match=r"found_settings: .*missing\.yaml"):
        with_found_settings(config | {"found_settings": str(tmp_path / "missing.yaml")})
