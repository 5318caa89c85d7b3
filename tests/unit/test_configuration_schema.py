"""Keys and values of a configuration: what is declared may be configured and is explained, and nothing else."""

import pytest
from conftest import LETKF, ROOT
from lora_envar.analysis import METHODS
from lora_envar.archive import SOURCES
from lora_envar.background.ensemble import NORMALISATIONS
from lora_envar.background.hybrid import COVARIANCES
from lora_envar.background.lora import TARGETS
from lora_envar.background.vae import FORMS
from lora_envar.example_world.twin import ARRANGEMENTS
from lora_envar.fields.grid import Grid
from lora_envar.forecast import MODELS
from lora_envar.observations import NETWORKS
from lora_envar.plan.completion import ConfigurationError
from lora_envar.plan.documentation import filled
from lora_envar.plan.schema import check_schema, complete_schema
from lora_envar.settings import schema_of
from test_configuration import change


@pytest.mark.parametrize("value", [True, False, "resident"])
def test_warm_starts_have_three_kinds(config, value):
    check_schema({**config, "warm_start": value})


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("archive.sorce", "example", "did you mean source?"),
        ("minimiser.iteration", 5, "did you mean iterations?"),
        ("observations.quasi_uniform_700.colums", 5, "did you mean columns?"),
        ("experiments.2", {}, "YAML reads this name as type int"),
        ("experiments.Mine", {"method": "vae_var"}, "this name is not allowed"),
        ("methods.hybrid.ensemble_covariance", "localized", "known: genbe, localised"),
        ("experiments.latent_lora.ensemble_size", 0, "ensemble"),
        ("experiments.latent_lora.rank", 0, "rank"),
        ("observations.quasi_uniform_700.columns", 0, "columns"),
        ("observations.quasi_uniform_700.error_fraction", -0.1, "error_fraction"),
        ("methods.latent_lora.normalisation", "keys", "normalisation"),
        ("archive.start", "01.02.2009", "2022-01-31T18"),
        ("nmc.held_out", 1.5, "held_out"),
        ("warm_start", "residant", "known: True, False, resident"),
    ],
)
def test_the_schema_names_the_key(config, path, value, named):
    with pytest.raises(ConfigurationError, match=rf"^{path}: ") as refused:
        check_schema(change(config, path, value))
    assert named in str(refused.value)
    assert len(str(refused.value)) < 300, "one line, not the schema"


@pytest.mark.parametrize(
    ("path", "value", "now"),
    [
        ("tuning", {"period": []}, "search"),
        ("search.search", {}, "search.candidates"),
        ("tuned_settings", "mine.yaml", "found_settings"),
        ("experiments.latent_lora.ensemble", 8, "experiments.latent_lora.ensemble_size"),
        ("methods.latent_lora.members", "own", "methods.latent_lora.member_source"),
        ("search.candidates.hybrid.ensemble", 8, "search.candidates.hybrid.ensemble_size"),
    ],
)
def test_a_key_that_has_another_name_now_is_refused_with_it(config, path, value, now):
    with pytest.raises(ConfigurationError) as refused:
        check_schema(change(config, path, value))
    assert str(refused.value) == f"{path}: this key is now {now}; rename it"


@pytest.mark.parametrize(
    ("name", "value"), [("relaxation", 1.5), ("additive_error", -0.1), ("inflation", 0.9), ("vertical_localisation", 0)]
)
def test_settings_of_the_letkf_have_bounds(config, name, value):
    config["methods"]["letkf"] = {**LETKF, name: value}
    with pytest.raises(ConfigurationError, match=rf"methods\.letkf\.{name}: {value} is "):
        check_schema(config)
    config["methods"]["letkf"] = {**LETKF, "horizontal_localisation": None, "vertical_localisation": None}
    check_schema(config)


def test_every_key_is_explained():
    """Every key of the schema stands in config/README.md."""
    schema = complete_schema()
    text = (ROOT / "config" / "README.md").read_text()

    def keys(node):
        for name, child in node.get("properties", {}).items():
            yield name
            yield from keys(child)
            if isinstance(child.get("additionalProperties"), dict):
                yield from keys(child["additionalProperties"])

    nodes = [schema, *schema["$defs"].values()]
    missing = sorted({key for node in nodes for key in keys(node) if f"`{key}`" not in text})
    assert not missing, f"config/README.md does not explain {missing}"


def test_every_enumeration_is_that_of_its_registry():
    """A value that the schema accepts has an effect, and what exists can be chosen."""
    schema = complete_schema()
    properties, definitions = schema["properties"], schema["$defs"]
    methods = properties["methods"]["properties"]
    assert set(methods) == {name for name, method in METHODS.items() if method.assimilates}
    for name, entry in methods.items():
        assert list(entry["properties"]) == METHODS[name].setting_names()
    lora = methods["lora_envar"]["properties"]
    assert {*lora["targets"]["enum"], "latents", "scale"} == set(TARGETS)
    assert set(lora["normalisation"]["enum"]) == set(NORMALISATIONS)
    assert set(methods["hybrid"]["properties"]["ensemble_covariance"]["enum"]) == set(COVARIANCES)
    assert set(definitions["vae"]["properties"]["latents"]["enum"]) == set(FORMS)
    assert set(definitions["model"]["properties"]["name"]["enum"]) == set(MODELS)
    assert set(definitions["archive"]["properties"]["source"]["enum"]) == set(SOURCES)
    simulated = schema_of(NETWORKS["simulated"].Settings)["properties"]
    assert set(simulated["arrangement"]["enum"]) == set(ARRANGEMENTS)
    for kind in definitions["grid"]["properties"]["kind"]["enum"]:
        assert Grid(kind, 16, 32).latitude.shape == (16,)


def test_the_page_of_keys_is_that_of_the_registries():
    page = ROOT / "config" / "README.md"
    text = page.read_text()
    assert filled(text) == text, "run: python -m lora_envar.plan.documentation config/README.md"


@pytest.mark.parametrize(
    ("section", "value", "named"),
    [
        ("forecast_model", {"name": "fengwu", "weights": "w", "mean": "m"}, "forecast_model.deviation: missing"),
        ("forecast_model", {"name": "emulator", "weights": "w", "mean": "m"}, "forecast_model.mean"),
        ("forecast_model", {"name": "pangu", "weights": "w"}, "'pangu' is unknown; known: emulator, exported"),
        ("archive.source", "era6", "'era6' is unknown; known: arco, cds, ecmwf, example, files, gfs, ncar"),
        ("methods.hybrid", {"beta": 1.0}, "methods.hybrid.beta: there is no such key"),
        ("methods.4dvar", {}, "methods.4dvar: there is no such key; did you mean 3dvar? methods has 3dvar, "),
    ],
)
def test_what_is_declared_is_what_may_be_configured(config, section, value, named):
    with pytest.raises(ConfigurationError) as refused:
        check_schema(change(config, section, value))
    assert named in str(refused.value)
