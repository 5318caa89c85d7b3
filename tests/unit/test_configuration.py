"""A configuration that cannot be run is refused, naming the key."""

import copy

import pytest
import yaml
from conftest import LETKF, ROOT
from lora_envar.plan.completion import ConfigurationError, with_found_settings, with_single_vae, without_dropped
from lora_envar.plan.configuration import check
from lora_envar.plan.schema import check_schema, check_settings
from snakemake.utils import update_config


def change(config, path, value):
    changed = copy.deepcopy(config)
    *parents, last = path.split(".")
    entry = changed
    for key in parents:
        entry = entry[key]
    entry[int(last) if last.isdigit() else last] = value
    return changed


@pytest.mark.parametrize("name", ["config.yaml", "era5.yaml"])
def test_shipped_configurations_pass(name):
    config = yaml.safe_load((ROOT / "config" / name).read_text())
    check_schema(config)
    with_found_settings(config)
    check(config)


def test_the_overlay_of_the_letkf_passes(config):
    update_config(config, yaml.safe_load((ROOT / "config" / "letkf.yaml").read_text()))
    check_schema(config)
    check_settings(config)
    check(config)
    assert {name for name, entry in config["experiments"].items() if entry["method"] == "letkf"} == {
        "letkf",
        "letkf_20",
        "letkf_125",
    }


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("archive.end", "2008-01-01T00", r"archive\.end: .* is not after archive\.start"),
        ("nmc.end", "2009-05-21T00", r"nmc\.end plus .* outside the archive"),
        ("observations.quasi_uniform_700.columns", 2049, r"quasi_uniform_700\.columns: .* 2049 .* 2048 points"),
        ("experiments.vae_var.method", "4dvar", r"experiments\.vae_var\.method: '4dvar' is unknown; known: 3dvar, "),
        ("experiments.vae_var.rank", 2, r"experiments\.vae_var\.rank: not allowed"),
        ("experiments.vae_var.observations", "none", r"experiments\.vae_var\.observations"),
        ("experiments.3dvar.period", ["2009-05-08T00", "2009-05-01T00"], r"experiments\.3dvar\.period\[1\]"),
        ("experiments.3dvar.period", ["2009-04-30T00", "2009-05-01T00"], r"spin_up_cycles"),
        ("experiments.3dvar.period", ["2009-02-10T06", "2009-05-01T00"], r"first_guess_hours"),
        ("experiments.3dvar.period", ["2009-04-30T00", "2009-06-01T00"], r"outside the archive"),
        ("verification.references", ["truth"], r"verification\.references: 'truth'"),
        ("vaes.spectral.network.window", [5, 8], r"vaes\.spectral\.network\.window: 32 latitudes"),
        (
            "vaes.spectral.network.latent_channels",
            [16, 16],
            "2 given, but one per group is needed: 1; or one per control",
        ),
        ("vaes.grid.network.latent_channels", [9, 9, 9, 9], "4 given, but one per group is needed: 1$"),
        ("cycling.step_hours", 5, r"cycling\.step_hours: 5 h is not a multiple of archive\.step_hours, 6 h"),
        ("cycling.first_guess_hours", 27, r"cycling\.first_guess_hours: 27 h is not a multiple of archive"),
        ("verification.forecast.lead_hours", [24, 7], r"forecast\.lead_hours: 7 h is not a multiple of archive"),
        ("verification.forecast.every_hours", 9, r"forecast\.every_hours: 9 h is not a multiple of cycling\.step"),
        ("experiments.3dvar.period.0", "2009-04-26T03", r"3dvar\.period\[0\]: 2009-04-26T03 is not a multiple of 6 h"),
        ("experiments.3dvar.period.0", "2009-04-26T06:15", r"3dvar\.period\[0\]: .*T06:15 is not a whole hour"),
        ("search.period.0", "2009-04-12T03", r"search\.period\[0\]: 2009-04-12T03 is not a multiple of 6 h after"),
        ("archive.end", "2009-05-21T03", r"archive\.end: 2009-05-21T03 is not a multiple of 6 h after archive\.start"),
        ("archive.start", "2009-02-10T06:30", r"archive\.start: 2009-02-10T06:30 is not a whole hour"),
        ("nmc.start", "2009-02-11T01", r"nmc\.start: 2009-02-11T01 is not a multiple of 6 h"),
        ("nmc.tau_hours", 20, r"nmc\.tau_hours: 20 h is not a multiple"),
        ("nmc.every_hours", 8, r"nmc\.every_hours: 8 h is not a multiple"),
    ],
)
def test_relations_between_keys_are_checked(config, path, value, message):
    with pytest.raises(ConfigurationError, match=message):
        check(change(config, path, value))


def test_a_missing_rank_is_named(config):
    del config["experiments"]["latent_lora"]["rank"]
    with pytest.raises(ConfigurationError, match=r"experiments\.latent_lora\.rank: missing"):
        check(config)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"settings": {"member_source": "other_days"}}, r"shuffled\.donor: missing"),
        ({"donor": "latent_lora"}, r"shuffled\.donor: not allowed"),
        ({"settings": {"member_source": "other_days"}, "donor": "vae_var"}, "vae_var' has no ensemble of its own"),
        ({"settings": {"member_source": "other_days"}, "donor": "shuffled"}, "has no ensemble of its own"),
        ({"settings": {"member_source": "other_days"}, "donor": "latent_lora", "ensemble_size": 10}, None),
    ],
)
def test_members_of_other_days_need_a_donor(config, changes, message):
    config["experiments"]["shuffled"] = {**config["experiments"]["latent_lora"], **changes}
    if message is None:
        check(config)
        config["experiments"]["latent_lora"]["ensemble_size"] = 10
        message = r"latent_lora has 24 cycles, .* three times its ensemble size, 30"
    with pytest.raises(ConfigurationError, match=message):
        check(config)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, None),
        (
            {"ensemble_size": {"lags": 4, "last_year": 4}},
            r"letkf\.ensemble_size: lags and last_year are for time-lagged",
        ),
        ({"background": "single_step"}, r"letkf\.background: single_step is not allowed with method letkf"),
        ({"window": "six_hours"}, r"letkf\.window: not allowed with method letkf"),
        ({"rank": 4}, r"letkf\.rank: not allowed with method letkf"),
        (
            {"settings": {"relaxation": 0.5, "alpha": 0.5}},
            r"letkf\.settings: unknown settings alpha; letkf has horizontal",
        ),
        ({"donor": "lora_envar"}, r"letkf\.donor: not allowed"),
    ],
)
def test_what_a_cycled_ensemble_cannot_have_is_refused(config, changes, message):
    config["methods"]["letkf"] = LETKF
    config["experiments"]["letkf"] = {**config["experiments"]["3dvar"], "method": "letkf", "ensemble_size": 20}
    config["experiments"]["letkf"] |= changes
    check_schema(config)
    if message is None:
        check(config)
        del config["experiments"]["letkf"]["ensemble_size"]
        message = r"letkf\.ensemble_size: missing; method letkf needs it"
    with pytest.raises(ConfigurationError, match=message):
        check(config)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, None),
        ({"ensemble_size": 8}, r"shared\.ensemble_size: not allowed with method hybrid and ensemble_of"),
        ({"ensemble_of": "latent_lora"}, r"shared\.ensemble_of: 'latent_lora' is not an experiment that cycles"),
        ({"method": "3dvar"}, r"shared\.ensemble_of: not allowed with method 3dvar"),
        ({"background": "single_step"}, r"shared\.ensemble_of: not allowed with background: single_step"),
        ({"period": ["2009-04-25T18", "2009-05-01T18"]}, r"shared\.period: .* has cycles that letkf lacks"),
        ({"period": ["2009-04-26T00", "2009-05-03T00"]}, r"shared\.period: .* has cycles that letkf lacks"),
    ],
)
def test_members_of_a_filter_need_one_that_has_them(config, changes, message):
    config["methods"]["letkf"] = LETKF
    config["experiments"]["letkf"] = {**config["experiments"]["3dvar"], "method": "letkf", "ensemble_size": 20}
    shared = {**config["experiments"]["3dvar"], "method": "hybrid", "ensemble_of": "letkf", **changes}
    config["experiments"]["shared"] = shared
    check_schema(config)
    if message is None:
        check(config)
        lora = {**config["experiments"]["latent_lora"], "ensemble_of": "letkf"}
        del lora["ensemble_size"]
        config["experiments"]["shared"] = {**lora, "settings": {"member_source": "other_days"}}
        check(config)
        config["experiments"]["shared"]["donor"] = "latent_lora"
        with pytest.raises(ConfigurationError, match=r"shared\.donor: not allowed without .*, or with ensemble_of"):
            check(config)
        config["experiments"]["shared"] = {**lora, "settings": {"member_source": "nmc"}}
        message = r"shared\.ensemble_of: not allowed with member_source: nmc"
    with pytest.raises(ConfigurationError, match=message):
        check(config)


def test_a_cycled_ensemble_is_no_donor_of_members(config):
    config["methods"]["letkf"] = LETKF
    config["experiments"]["letkf"] = {**config["experiments"]["3dvar"], "method": "letkf", "ensemble_size": 4}
    shuffled = {"settings": {"member_source": "other_days"}, "donor": "letkf"}
    config["experiments"]["shuffled"] = {**config["experiments"]["latent_lora"], **shuffled}
    with pytest.raises(ConfigurationError, match="'letkf' has no ensemble of its own"):
        check(config)


def test_a_forecast_model_s_errors_are_of_the_length_of_a_cycle(config):
    config["methods"]["letkf"] = LETKF
    config["experiments"]["letkf"] = {**config["experiments"]["3dvar"], "method": "letkf", "ensemble_size": 20}
    config["training"] = {key: copy.deepcopy(config[key]) for key in ("grid", "archive", "forecast_model")}
    config["training"]["archive"] |= {"step_hours": 12, "end": "2009-05-20T18"}
    config["nmc"] |= {"every_hours": 12}
    with pytest.raises(ConfigurationError, match=r"training\.archive\.step_hours: 12 h does not divide"):
        check(config)


def test_environments_ask_for_what_pyproject_asks_for():
    import tomllib

    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    texts = [*project["dependencies"], *project["optional-dependencies"]["example"]]
    texts += project["optional-dependencies"]["download"]
    wanted = {r.name.lower(): r.specifier for r in map(Requirement, texts)}
    conda_names = {"pytorch": "torch"}
    for path in (ROOT / "envs").glob("*.yaml"):
        for entry in yaml.safe_load(path.read_text())["dependencies"]:
            for text in entry["pip"] if isinstance(entry, dict) else [entry]:
                requirement = Requirement(text)
                name = conda_names.get(requirement.name, requirement.name).lower()
                if name in ("python", "pip"):
                    continue
                assert requirement.specifier == wanted[name], f"{path.name}: {text}, pyproject: {name}{wanted[name]}"


@pytest.mark.parametrize(
    ("experiment", "vae", "message"),
    [
        ("vae_var", "gird", r"experiments\.vae_var\.vae: 'gird' is unknown; vaes has spectral"),
        ("3dvar", "spectral", r"experiments\.3dvar\.vae: not allowed with method 3dvar"),
    ],
)
def test_a_vae_is_one_of_the_configured(config, experiment, vae, message):
    config["experiments"][experiment]["vae"] = vae
    with pytest.raises(ConfigurationError, match=message):
        check(config)


def test_what_is_null_is_dropped(config):
    config["experiments"] |= {"vae_var_grid": None, "not_there": None}
    config["study"] = {"worlds": {"one": "../one", "two": None}, "references": ["vae_var"]}
    check_schema(config)
    without_dropped(config)
    assert config.pop("study")["worlds"] == {"one": "../one"}
    assert {"vae_var_grid", "not_there"}.isdisjoint(config["experiments"])
    assert "vae_var_grid" not in config["verification"]["references"]
    check(config)


def test_keys_of_another_model_or_source_are_dropped(config):
    config["forecast_model"] = {"name": "emulator", "weights": "some", "mean": None, "sha256": None}
    config["archive"]["member"] = None
    config["windows"] = {"six_hours": {"slots": 2, "slot_hours": 3, "model": {"name": "emulator", "boundary": None}}}
    without_dropped(config)
    assert config["forecast_model"] == {"name": "emulator", "weights": "some"}
    assert "member" not in config["archive"]
    assert config["windows"]["six_hours"]["model"] == {"name": "emulator"}


def test_a_single_vae_need_not_be_named(config):
    config["experiments"] |= {"vae_var_grid": None, "lora_envar": None}
    config["vaes"]["grid"] = None
    without_dropped(config)
    assert list(config["vaes"]) == ["spectral"]
    for section in (config["experiments"]["vae_var"], config["search"]["candidates"]["latent_lora"]):
        del section["vae"]
    with_single_vae(config)
    assert config["experiments"]["vae_var"]["vae"] == "spectral"
    assert config["search"]["candidates"]["latent_lora"]["vae"] == "spectral"
    assert "vae" not in config["experiments"]["3dvar"]
    check(config)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("experiments.hybrid.settings", {"ensemble_covariance": "localized"}, "known: genbe, localised"),
        ("experiments.latent_lora.settings", {"normalisation": "spred"}, "known: member, amplitude, spread"),
        (
            "experiments.vae_var.settings",
            {"background_weight": -1.0},
            "background_weight: -1.0 is not a number above 0, or adaptive",
        ),
        (
            "search.candidates.vae_var",
            {"background_weight": [2.0, "two"]},
            "background_weight: 'two' is not a number above 0, or adaptive",
        ),
    ],
)
def test_settings_of_experiments_and_candidates_fit_the_schema_too(config, path, value, message):
    check_settings(config)
    with pytest.raises(ConfigurationError) as refused:
        check_settings(change(config, path, value))
    assert message in str(refused.value)
