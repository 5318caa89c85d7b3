"""A configuration made whole before it is checked: what a file on top of another drops, and values from elsewhere."""

from pathlib import Path
from typing import Any

import yaml

from ..analysis import METHODS


class ConfigurationError(ValueError):
    """The configuration asks for something impossible."""


def without_dropped(config: dict[str, Any]) -> None:
    """Leave out what is null, in place; a file on top drops entries of another so.

    These are experiments, VAEs, a study's worlds, and the keys of archives and of forecast models, which depend on
    their source or kind. Experiments are left out as references, and among those whose analyses' spread is looked at,
    too.
    """
    training = config.get("training")
    places = [(config, "vaes"), (config.get("study"), "worlds")]
    places += [(section, key) for section in (config, training) for key in ("archive", "forecast_model")]
    places += [(window, "model") for window in _entries(config.get("windows"))]
    for section, key in places:
        if isinstance(section, dict) and isinstance(section.get(key), dict):
            section[key] = {name: entry for name, entry in section[key].items() if entry is not None}
    experiments = config.get("experiments")
    if not isinstance(experiments, dict):
        return
    dropped = [name for name, entry in experiments.items() if entry is None]
    config["experiments"] = {name: entry for name, entry in experiments.items() if name not in dropped}
    for section, key in naming_experiments(config):
        section[key] = [name for name in section[key] if name not in dropped]


def _entries(section: Any) -> list[Any]:
    return list(section.values()) if isinstance(section, dict) else []


def naming_experiments(config: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
    """Sections within `verification`, and a key of each, that are lists of experiments."""
    verification = config.get("verification")
    if not isinstance(verification, dict):
        return []
    places = ((verification, "references"), (verification.get("analysis_spread"), "experiments"))
    return [(place, key) for place, key in places if isinstance(place, dict) and isinstance(place.get(key), list)]


def with_found_settings(config: dict[str, Any]) -> None:
    """Put the values of the file `found_settings` into the section `methods`, in place, where it has none itself.

    Raises
    ------
    ConfigurationError
        If the file is missing, or names methods or settings that do not exist.
    """
    path = config.get("found_settings")
    if not path:
        return
    try:
        tuned = yaml.safe_load(Path(path).read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ConfigurationError(f"found_settings: {path} cannot be read ({error}); the rule search makes it") from None
    if not isinstance(tuned, dict) or not all(isinstance(entry, dict) for entry in tuned.values()):
        raise ConfigurationError(f"found_settings: {path} does not list settings by method; the rule search makes it")
    for method, settings in tuned.items():
        if method not in METHODS:
            raise ConfigurationError(
                f"found_settings: {path} has the unknown method {method!r}; known: {', '.join(METHODS)}"
            )
        unknown = sorted(set(settings) - set(METHODS[method].setting_names()))
        if unknown:
            raise ConfigurationError(
                f"found_settings: {path} has unknown settings of {method}: {', '.join(unknown)}; known: "
                f"{', '.join(METHODS[method].setting_names())}"
            )
        if method in config["methods"]:
            config["methods"][method] = {**settings, **config["methods"][method]}


def with_single_vae(config: dict[str, Any]) -> None:
    """Where there is one VAE alone, put its name into experiments and searches that use it and name none, in place."""
    if len(config["vaes"]) > 1:
        return
    [name] = config["vaes"]
    entries = [(entry.get("method"), entry) for entry in config["experiments"].values()]
    entries += (config.get("search") or {}).get("candidates", {}).items()
    for method, entry in entries:
        if method in METHODS and METHODS[method].vae_files:
            entry.setdefault("vae", name)
