"""The configuration against its schema, in one line that names the key.

Snakemake's own validation prints the schema and the configuration whole, hundreds of lines around the one that matters.
"""

import difflib
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import best_match

from ..analysis import METHODS
from ..analysis.method import Method
from ..archive import SOURCES
from ..forecast import MODELS
from ..observations import NETWORKS
from ..settings import names_of, needed_of, schema_of
from .completion import ConfigurationError
from .search import candidates

SCHEMA = Path(__file__).resolve().parents[2] / "schemas" / "config.schema.yaml"

#: keys that had another name before -> the name that they have now; * stands for any name
RENAMED = {
    "tuning": "search",
    "search.search": "search.candidates",
    "tuned_settings": "found_settings",
    "experiments.*.ensemble": "experiments.*.ensemble_size",
    "experiments.*.settings.members": "experiments.*.settings.member_source",
    "methods.*.members": "methods.*.member_source",
    "search.candidates.*.ensemble": "search.candidates.*.ensemble_size",
    "search.candidates.*.members": "search.candidates.*.member_source",
    "vae": "vaes.{name}",
    "example.vae_training": "example.vaes.{name}",
}


@cache
def complete_schema() -> dict[str, Any]:
    """The schema with the methods, forecast models and archive sources that there are."""
    schema: dict[str, Any] = yaml.safe_load(SCHEMA.read_text())
    schema["$defs"]["model"] = _model_schema()
    schema["$defs"]["underlying_source"] = {"enum": _underlying()}
    _add_sources(schema["$defs"]["archive"])
    schema["properties"]["methods"] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: _method_schema(method) for name, method in METHODS.items() if method.setting_names()},
    }
    schema["properties"]["observations"]["additionalProperties"] = _network_schema()
    return schema


def _underlying() -> list[str]:
    """Names of the sources from which others may be made."""
    return [name for name, source in SOURCES.items() if not source.derived]


def _add_sources(archive: dict[str, Any]) -> None:
    """Extend the schema of `archive`: a source has its own settings and those of its underlying source, no others."""
    shared = list(archive["properties"])
    archive["properties"]["source"] = {"enum": list(SOURCES)}
    archive["allOf"] = []
    for name, source in SOURCES.items():
        for key, rules in schema_of(source.Settings)["properties"].items():
            archive["properties"].setdefault(key, rules)
        needed = {"required": needed_of(source.Settings)}
        archive["allOf"].append(_where({"source": name}, needed))
        chains = [{"source": name}]
        if source.derived:
            chains = [{"source": name, "of": beneath} for beneath in _underlying()]
        for chain in chains:
            settings = [SOURCES[layer].Settings for layer in chain.values()]
            keys = [key for kind in settings for key in names_of(kind)]
            rules = {"required": needed_of(settings[-1]), "propertyNames": {"enum": [*shared, *keys]}}
            archive["allOf"].append(_where(chain, rules))


def _where(values: dict[str, str], rules: dict[str, Any]) -> dict[str, Any]:
    """Schema rules that apply where some keys have these values."""
    chosen = {key: {"const": value} for key, value in values.items()}
    return {"if": {"properties": chosen, "required": list(values)}, "then": rules}


def _network_schema() -> dict[str, Any]:
    """Each kind of network has its settings, and no others."""
    cases = []
    for name, network in NETWORKS.items():
        own = schema_of(network.Settings)
        own["properties"] = {"source": {"const": name}, **own["properties"]}
        cases.append({"if": {"properties": {"source": {"const": name}}}, "then": own | network.rules})
    return {
        "type": "object",
        "required": ["source"],
        "properties": {"source": {"enum": list(NETWORKS)}},
        "allOf": cases,
    }


def _model_schema() -> dict[str, Any]:
    """Each model has the settings of its declaration, and no others."""
    properties: dict[str, Any] = {"name": {"enum": list(MODELS)}}
    cases = []
    for name, model in MODELS.items():
        own = schema_of(model.Settings)
        properties |= {key: value for key, value in own["properties"].items() if key not in properties}
        allowed = {"required": own.get("required", []), "propertyNames": {"enum": ["name", *own["properties"]]}}
        cases.append({"if": {"properties": {"name": {"const": name}}}, "then": allowed | model.rules})
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["name"],
        "properties": properties,
        "allOf": cases,
    }


def _method_schema(method: type[Method]) -> dict[str, Any]:
    """Schema of all settings of a method; missing ones may come from `found_settings`."""
    properties: dict[str, Any] = {}
    for settings in method.settings_classes():
        properties |= schema_of(settings, complete=False)["properties"]
    return {"type": "object", "additionalProperties": False, "properties": properties}


def check_schema(config: dict[str, Any]) -> None:
    """Refuse a configuration that does not fit the schema.

    Raises
    ------
    ConfigurationError
        Naming the key, what was found, and what may stand there.
    """
    _check_names(config, "")
    _refuse_renamed(config)
    error = best_match(Draft202012Validator(complete_schema()).iter_errors(config), key=_relevance)
    if error is not None:
        raise ConfigurationError(_message(error))


def check_settings(config: dict[str, Any]) -> None:
    """Refuse values of settings that the schema of their method does not allow, wherever they come from.

    Settings of experiments, of candidates of a search, and of `found_settings` replace those of `methods` and pass by
    the schema.

    Raises
    ------
    ConfigurationError
        Naming experiment and setting, what was found, and what may stand there.
    """
    schema = complete_schema()
    methods = {"properties": schema["properties"]["methods"]["properties"]}
    for name, experiment in {**config["experiments"], **candidates(config)}.items():
        method = experiment["method"]
        merged = {**config["methods"].get(method, {}), **experiment.get("settings", {})}
        error = best_match(Draft202012Validator(methods).iter_errors({method: merged}), key=_relevance)
        if error is not None:
            raise ConfigurationError(f"experiments.{name}, with its settings: methods.{_message(error)}")


def _check_names(section: Any, prefix: str) -> None:
    """Refuse names that YAML reads as numbers, booleans or dates, such as 1, 1.5, no and 2009-01-01."""
    if isinstance(section, dict):
        for key, value in section.items():
            if not isinstance(key, str):
                raise ConfigurationError(
                    f"{prefix}{key}: YAML reads this name as type {type(key).__name__}; put it in quotes, or begin "
                    "it with a letter"
                )
            _check_names(value, f"{prefix}{key}.")


def _refuse_renamed(config: dict[str, Any]) -> None:
    """Refuse keys of earlier versions, each with its present name."""
    for old, new in RENAMED.items():
        for found in _matches(config, old.split(".")):
            names = dict(zip(old.split("."), found, strict=True))
            wanted = ".".join(names["*"] if part == "*" else part for part in new.split("."))
            raise ConfigurationError(f"{'.'.join(found)}: this key is now {wanted}; rename it")


def _matches(section: Any, pattern: list[str]) -> list[list[str]]:
    """Keys within nested mappings that match a pattern, each as a tuple of its parts."""
    if not pattern:
        return [[]]
    if not isinstance(section, dict):
        return []
    keys = list(section) if pattern[0] == "*" else [key for key in pattern[:1] if key in section]
    return [[key, *rest] for key in keys for rest in _matches(section[key], pattern[1:])]


def _relevance(error: ValidationError) -> tuple[bool, int]:
    """Order of errors: unknown keys first (a misspelt one is also missing under its right name), then shallow ones."""
    return (error.validator == "additionalProperties", -len(error.absolute_path))


def _message(error: ValidationError) -> str:
    path = ".".join(str(part) for part in error.absolute_path)
    where = f"{path}." if path else ""
    if error.validator == "additionalProperties":
        known = sorted(error.schema.get("properties", {}))
        unknown = sorted(set(error.instance) - set(known))[0]
        close = difflib.get_close_matches(unknown, known, 1)
        meant = f"did you mean {close[0]}? " if close else ""
        return f"{where}{unknown}: there is no such key; {meant}{path or 'the configuration'} has {', '.join(known)}"
    if error.validator == "required":
        missing = next(key for key in error.validator_value if key not in error.instance)
        return f"{where}{missing}: missing; add this key"
    if "description" in error.schema:
        return f"{path}: {error.instance!r} is not {error.schema['description']}"
    if error.validator == "propertyNames" or "propertyNames" in error.absolute_schema_path:
        return f"{where}{error.instance}: this name is not allowed here ({error.message})"
    if error.validator == "enum":
        return f"{path}: {error.instance!r} is unknown; known: {', '.join(map(str, error.validator_value))}"
    return f"{path or 'the configuration'}: {error.message}"
