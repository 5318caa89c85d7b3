"""Settings as frozen dataclasses: each field says what it means and what it may be.

The schema of the configuration and the tables of config/README.md are made from these, so that a setting is described
in one place.
"""

import dataclasses
import types
import typing
from typing import Any, TypeVar

Settings = TypeVar("Settings")

_JSON_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}


def setting(
    meaning: str,
    *,
    default: Any = dataclasses.MISSING,
    minimum: float | None = None,
    above: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] | None = None,
    schema: dict[str, Any] | None = None,
    file: bool = False,
    required: bool = False,
) -> Any:
    """A field of a dataclass of settings.

    Parameters
    ----------
    meaning : str
        For config/README.md, as Markdown.
    default
        Settings without one must be given.
    minimum, above, maximum : float
        Bounds; those of `minimum` and `maximum` are allowed, that of `above` is not.
    choices : tuple of str
        All that it may be.
    schema : dict
        More of its JSON schema, or another one where the type hint does not say enough.
    file : bool
        Whether it names a file that a user brings.
    required : bool
        Whether a configuration must give it, though functions have a default.
    """
    bounds = {"minimum": minimum, "exclusiveMinimum": above, "maximum": maximum}
    rules: dict[str, Any] = {key: value for key, value in bounds.items() if value is not None}
    if choices is not None:
        rules["enum"] = list(choices)
    return dataclasses.field(
        default=default,
        metadata={"meaning": meaning, "rules": rules | (schema or {}), "file": file, "required": required},
    )


def names_of(settings: type) -> list[str]:
    """Names of the settings of a dataclass, in their order."""
    return [field.name for field in dataclasses.fields(settings)]


def files_of(settings: type) -> list[str]:
    """Names of the settings that name files."""
    return [field.name for field in dataclasses.fields(settings) if field.metadata.get("file")]


def needed_of(settings: type) -> list[str]:
    """Names of the settings that a configuration must give."""
    return [
        field.name
        for field in dataclasses.fields(settings)
        if field.metadata["required"] or field.default is dataclasses.MISSING
    ]


def meanings_of(settings: type) -> dict[str, str]:
    """What each setting means, by its name."""
    return {field.name: field.metadata["meaning"] for field in dataclasses.fields(settings)}


def schema_of(settings: type, complete: bool = True) -> dict[str, Any]:
    """The JSON schema of a mapping with the fields of a dataclass of settings.

    Parameters
    ----------
    settings : type
        The dataclass.
    complete : bool
        Whether all settings without a default must be there; they may also come from elsewhere.
    """
    hints = typing.get_type_hints(settings)
    properties = {field.name: _schema(hints[field.name], field) for field in dataclasses.fields(settings)}
    schema: dict[str, Any] = {"type": "object", "additionalProperties": False, "properties": properties}
    needed = needed_of(settings)
    if complete and needed:
        schema["required"] = needed
    return schema


def _schema(hint: Any, field: dataclasses.Field[Any]) -> dict[str, Any]:
    rules = field.metadata["rules"]
    if rules.keys() & {"$ref", "type", "enum", "anyOf"}:
        return dict(rules)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return schema_of(hint)
    alternatives = [hint]
    if isinstance(hint, types.UnionType):
        alternatives = list(typing.get_args(hint))
    names = ["null" if alternative is type(None) else _JSON_TYPES[alternative] for alternative in alternatives]
    return {"type": names[0] if len(names) == 1 else names, **rules}


def settings_from(kind: type[Settings], values: dict[str, Any]) -> Settings:
    """Settings of plain values, as a configuration or a file of weights has them: lists become tuples.

    Raises
    ------
    ValueError
        If there are values that are no settings.
    """
    known = names_of(kind)
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ValueError(f"{kind.__name__} has no {', '.join(unknown)}; it has {', '.join(sorted(known))}")
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})
