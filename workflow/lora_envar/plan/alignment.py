"""Times and leads of a configuration: whether the archive has states at them, and the forecast models reach them.

Each error names its key. What a forecast model's step is, its weights say; where they are missing, nothing is checked.
"""

from datetime import datetime, timedelta
from typing import Any

from ..fields.timeline import parse
from ..forecast import MODELS


class AlignmentError(ValueError):
    """A time lies between the archive's, or a lead between a model's steps."""


def check_alignment(config: dict[str, Any]) -> None:
    """Refuse times between those of the archive, and leads between those of the forecast model.

    Raises
    ------
    AlignmentError
        Naming the key, what was found, and what it must be a multiple of.
    """
    archive = config["archive"]
    training = config.get("training", config)
    step = archive["step_hours"]
    of_archive = f"archive.step_hours, {step} h"
    for key, section in (("archive", archive), ("training.archive", training["archive"])):
        start = _time(f"{key}.start", section["start"])
        end = _time(f"{key}.end", section["end"])
        _on_grid(f"{key}.end", end, start, section["step_hours"], f"{key}.start")
    origin = parse(archive["start"])
    finer = archive.get("finer")
    if finer:
        start = _time("archive.finer.start", finer["start"])
        end = _time("archive.finer.end", finer["end"])
        _on_grid("archive.finer.end", end, start, finer["step_hours"], "archive.finer.start")

    nmc = config["nmc"]
    held = parse(training["archive"]["start"])
    held_step = training["archive"]["step_hours"]
    _on_grid("nmc.start", _time("nmc.start", nmc["start"]), held, held_step, "the start of its archive")
    for name in ("every_hours", "tau_hours"):
        _multiple(f"nmc.{name}", nmc[name], held_step, f"the step of its archive, {held_step} h")
    _reached("nmc.tau_hours", nmc["tau_hours"], training["forecast_model"])

    cycling = config["cycling"]
    _multiple("cycling.step_hours", cycling["step_hours"], step, of_archive)
    _multiple("cycling.first_guess_hours", cycling["first_guess_hours"], step, of_archive)
    for name in ("step_hours", "first_guess_hours"):
        _reached(f"cycling.{name}", cycling[name], config["forecast_model"])
    forecast = config["verification"].get("forecast")
    if forecast:
        _multiple(
            "verification.forecast.every_hours",
            forecast["every_hours"],
            cycling["step_hours"],
            f"cycling.step_hours, {cycling['step_hours']} h",
        )
        for lead in forecast["lead_hours"]:
            _multiple("verification.forecast.lead_hours", lead, step, of_archive)
            _reached("verification.forecast.lead_hours", lead, config["forecast_model"])

    periods = {f"experiments.{name}.period": entry["period"] for name, entry in config["experiments"].items()}
    if config.get("search"):
        periods["search.period"] = config["search"]["period"]
    for key, period in periods.items():
        for index, text in enumerate(period):
            time = _time(f"{key}[{index}]", text)
            if not (finer and parse(finer["start"]) <= time <= parse(finer["end"])):
                _on_grid(f"{key}[{index}]", time, origin, step, "archive.start")
    for name, window in config.get("windows", {}).items():
        _reached(f"windows.{name}.slot_hours", window["slot_hours"], window["model"])


def step_of(section: dict[str, Any]) -> int | None:
    """Hours of a step of the model that a section of the configuration names, as far as it can be known."""
    return MODELS[section["name"]].step_hours(section)


def _time(key: str, text: str) -> datetime:
    try:
        time = parse(text)
    except ValueError as error:
        raise AlignmentError(f"{key}: {error}") from None
    if time.minute:
        raise AlignmentError(f"{key}: {time:%Y-%m-%dT%H:%M} is not a whole hour, as the times of the archive are")
    return time


def _on_grid(key: str, time: datetime, origin: datetime, step: int, of: str) -> None:
    if (time - origin) % timedelta(hours=step):
        raise AlignmentError(
            f"{key}: {time:%Y-%m-%dT%H} is not a multiple of {step} h after {of}, {origin:%Y-%m-%dT%H}, so that the "
            "archive has no state at that time"
        )


def _multiple(key: str, hours: int, step: int, of: str) -> None:
    if hours % step:
        raise AlignmentError(f"{key}: {hours} h is not a multiple of {of}")


def _reached(key: str, hours: int, section: dict[str, Any]) -> None:
    step = step_of(section)
    if step and hours % step:
        raise AlignmentError(f"{key}: {hours} h is not a multiple of the step of {section['weights']}, {step} h")
