"""What networks are trained on and how, checked. Each error names its key."""

from typing import Any

from ..fields.state import CONTROL_VARIABLES, GROUPS
from .completion import ConfigurationError
from .models import Place
from .periods import check_within, held_by, period_of


def check_training(place: Place, config: dict[str, Any]) -> None:
    """A model is trained on states of its archive, validated on others, and steps from one of them to another."""
    if "train" not in place.section:
        return
    settings = place.section["train"]
    key = f"{place.key}.train"
    _check_gpus(key, {**settings["training"], **settings})
    section = config["training"]["archive"] if place.training else config["archive"]
    held = period_of("archive.start", section["start"], "archive.end", section["end"])
    step = section["step_hours"]
    periods = {}
    for name, entry in ((key, settings), (f"{key}.validation", settings["validation"])):
        periods[name] = period_of(f"{name}.start", entry["start"], f"{name}.end", entry["end"])
        if not place.training:
            _, step = held_by(name, *periods[name], config, held)
        for end, time in zip(("start", "end"), periods[name], strict=True):
            check_within(f"{name}.{end}", time, held)
        if settings["step_hours"] % step:
            raise ConfigurationError(
                f"{key}.step_hours: {settings['step_hours']} h is not a multiple of the {step} h between the states "
                f"of {name}"
            )
    (first, last), (looked_at, until) = periods.values()
    if first <= until and looked_at <= last:
        raise ConfigurationError(
            f"{key}.validation: {looked_at:%Y-%m-%dT%H} to {until:%Y-%m-%dT%H} overlaps with the training period "
            f"({first:%Y-%m-%dT%H} to {last:%Y-%m-%dT%H}); choose a separate period"
        )


def check_vae(name: str, config: dict[str, Any]) -> None:
    """The network of a VAE fits the grid of errors and the groups of variables."""
    _check_gpus(f"vaes.{name}.training", config["vaes"][name]["training"])
    network = config["vaes"][name]["network"]
    together = network["groups"] == "together"
    if config["vaes"][name]["variables"] == "control" and not together:
        raise ConfigurationError(
            f"vaes.{name}.network.groups: {network['groups']} is not allowed with control variables, since it groups "
            "variables of the state; use together"
        )
    groups = 1 if together else len(GROUPS)
    wanted = f"one per group is needed: {groups}"
    given = len(network["latent_channels"])
    by_block = False
    if (config["vaes"][name]["variables"], config["vaes"][name]["latents"]) == ("control", "spectral"):
        by_block = given == len(CONTROL_VARIABLES)
        wanted += f"; or one per control variable: {len(CONTROL_VARIABLES)}"
    if given != groups and not by_block:
        raise ConfigurationError(f"vaes.{name}.network.latent_channels: {given} given, but {wanted}")
    scale = network.get("patch", 2) * 2 ** (len(network["widths"]) - 1)
    axes = (("latitudes", network["window"][0]), ("longitudes", network["window"][1]))
    for axis, window in axes:
        if config["error_grid"][axis] % (scale * window):
            raise ConfigurationError(
                f"vaes.{name}.network.window: {config['error_grid'][axis]} {axis} of error_grid do not divide into "
                f"windows of {window} tokens of {scale} points"
            )


def _check_gpus(key: str, settings: dict[str, Any]) -> None:
    """Check that a batch can be divided evenly among the GPUs."""
    gpus = settings.get("gpus", 1)
    if settings["batch"] % gpus:
        raise ConfigurationError(
            f"{key}.gpus: a batch of {settings['batch']} samples cannot be shared equally by {gpus} GPUs; make "
            "batch a multiple of gpus"
        )
