"""The configuration against its schema, in one line that names the key.

Snakemake's own validation prints the schema and the configuration whole, hundreds of lines around the one that matters.
"""

import difflib
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from .configuration import ConfigurationError
from .search import candidates

SCHEMA = Path(__file__).resolve().parents[2] / "schemas" / "config.schema.yaml"


def check_schema(config: dict):
    """Refuse a configuration that does not fit the schema.

    Raises
    ------
    ConfigurationError
        Naming the key, what was found, and what may stand there.
    """
    _check_names(config, "")
    error = best_match(Draft202012Validator(yaml.safe_load(SCHEMA.read_text())).iter_errors(config), key=_relevance)
    if error is not None:
        raise ConfigurationError(_in_words(error))


def check_settings(config: dict):
    """Refuse values of settings that the schema of their method does not allow, wherever they come from.

    Settings of experiments, of candidates of a search, and of `tuned_settings` replace those of `methods` and pass by
    the schema.

    Raises
    ------
    ConfigurationError
        Naming experiment and setting, what was found, and what may stand there.
    """
    methods = yaml.safe_load(SCHEMA.read_text())
    methods["properties"] = methods["properties"]["methods"]["properties"]
    methods = {key: methods[key] for key in ("$schema", "$defs", "properties")}
    for name, experiment in {**config["experiments"], **candidates(config)}.items():
        method = experiment["method"]
        merged = {**config["methods"].get(method, {}), **experiment.get("settings", {})}
        error = best_match(Draft202012Validator(methods).iter_errors({method: merged}), key=_relevance)
        if error is not None:
            raise ConfigurationError(f"experiments.{name}, with its settings: methods.{_in_words(error)}")


def _check_names(section, prefix: str):
    """YAML reads 1, 1.5, no and 2009-01-01 as numbers, booleans and dates, which are no names of anything."""
    if isinstance(section, dict):
        for key, value in section.items():
            if not isinstance(key, str):
                raise ConfigurationError(
                    f"{prefix}{key}: YAML reads this name as a {type(key).__name__}; put it in quotes, or begin it "
                    "with a letter"
                )
            _check_names(value, f"{prefix}{key}.")


def _relevance(error) -> tuple:
    """Unknown keys first (a misspelt one is missing under its right name, too), then the least deep error."""
    return (error.validator == "additionalProperties", -len(error.absolute_path))


def _in_words(error) -> str:
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
        return f"{where}{missing}: missing; it must be given"
    if "description" in error.schema:
        return f"{path}: {error.instance!r} is not {error.schema['description']}"
    if error.validator == "propertyNames" or "propertyNames" in error.absolute_schema_path:
        return f"{where}{error.instance}: this name is not allowed here ({error.message})"
    if error.validator == "enum":
        return f"{path}: {error.instance!r} is unknown; known: {', '.join(map(str, error.validator_value))}"
    return f"{path or 'the configuration'}: {error.message}"
