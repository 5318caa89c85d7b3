"""A twin of another archive: from some time on, the states of a forecast model with a share of its own error.

Every block computes the trajectory again from its first state, so that blocks of any length have the same states.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...archive import SOURCES
from ...archive.source import ArchiveSource
from ...fields.timeline import parse
from ...fields.timeline import times as times_between
from ...settings import names_of, setting
from .. import MODELS, check_model, load_model
from .. import named_files as files_of_model

if TYPE_CHECKING:
    import numpy as np

    from ...fields.grid import Grid
    from ..model import ForecastModel

TIME = {"$ref": "#/$defs/time"}


@dataclass(frozen=True)
class ErrorPeriod:
    """Starts of the forecasts whose errors are sampled."""

    start: str = setting("first of them", schema=TIME)
    end: str = setting("last of them", schema=TIME)
    every_hours: int = setting("time between them", minimum=1)


@dataclass(frozen=True)
class TwinSettings:
    """Settings of `twin`."""

    of: str = setting(
        "the underlying source, whose own keys (such as `path`) are given beside these",
        schema={"$ref": "#/$defs/underlying_source"},
    )
    since: str = setting(
        "time of the last state from the underlying source; the model's steps follow. A rollout keeps its climate for "
        "a few weeks only, so choose a time shortly before the experiments",
        schema=TIME,
    )
    forecast_model: dict[str, Any] = setting(
        "the model, with the keys of the section of this name", schema={"$ref": "#/$defs/model"}
    )
    share: float = setting(
        "share of the model's error that is added at every step: 0 means a perfect model, 1 the real one", minimum=0
    )
    errors: ErrorPeriod = setting(
        "`start`, `end` and `every_hours` of the one-step forecasts from the underlying source's states whose errors "
        "are sampled"
    )
    seed: int = setting("seed of the errors that are added", minimum=0)


class Twin(ArchiveSource):
    """See `forecast.perturbed`."""

    name = "twin"
    about = (
        "another source up to `since`; from then on, a forecast model with a random combination of its own errors "
        "added at every step of `step_hours`, so that the model's error is known"
    )
    Settings = TwinSettings
    derived = True

    @classmethod
    def check(cls, settings: dict[str, Any]) -> None:
        """Refuse times that are not in the archive, and models that do not step from one of its states to the next."""
        if settings.get("finer"):
            raise ValueError("finer: not allowed with source: twin, whose states are steps of one model; remove it")
        SOURCES[settings["of"]].check(_underlying(settings))
        step = settings["step_hours"]
        frame = _check_steps(settings["forecast_model"], step)
        start = parse(settings["start"])
        end = parse(settings["end"])
        since = _time_of_archive("since", settings["since"], start, step)
        also = " (with a frame before)" if frame else ""
        if not start + frame <= since <= end:
            raise ValueError(
                f"since: {settings['since']}{also} is outside the archive, {start:%Y-%m-%dT%H} to {end:%Y-%m-%dT%H}"
            )
        errors = settings["errors"]
        first = _time_of_archive("errors.start", errors["start"], start, step)
        last = _time_of_archive("errors.end", errors["end"], start, step)
        if errors["every_hours"] % step:
            raise ValueError(f"errors.every_hours: {errors['every_hours']} h is not a multiple of step_hours, {step} h")
        if first - frame < start or last + timedelta(hours=step) > end:
            raise ValueError(
                f"errors: forecasts of {step} h that start from {errors['start']} to {errors['end']}{also} must lie "
                f"within the underlying archive, which has states from {start:%Y-%m-%dT%H} to {end:%Y-%m-%dT%H}"
            )
        if len(_error_starts(settings)) < 2:
            raise ValueError(
                f"errors: {errors['start']} to {errors['end']} every {errors['every_hours']} h makes fewer than two "
                "forecasts, and the mean of the errors is subtracted; make the period longer"
            )

    @classmethod
    def named_files(cls, settings: dict[str, Any]) -> dict[str, str]:
        """The files of the underlying source, and of the forecast model."""
        model = {f"forecast_model.{key}": path for key, path in files_of_model(settings["forecast_model"]).items()}
        return SOURCES[settings["of"]].named_files(_underlying(settings)) | model

    @classmethod
    def bytes_per_time(cls, settings: dict[str, Any], points: int) -> int:
        """Those of the underlying source."""
        return SOURCES[settings["of"]].bytes_per_time(_underlying(settings), points)

    @classmethod
    def fetch(cls, settings: dict[str, Any], times: Sequence[datetime], destination: str) -> None:
        """States of the wanted times on the grid of the forecast model."""
        import numpy as np

        from ...files.state_file import write_states
        from ...runtime.step import device

        since = parse(settings["since"])
        model = load_model(**settings["forecast_model"], device=device())
        needed = {time for time in times if time <= since}
        later = [time for time in times if time > since]
        starts = _error_starts(settings) if later and settings["share"] > 0 else []
        step = timedelta(hours=settings["step_hours"])
        for start in [since, *starts] if later else []:
            needed |= {start} if model.history == 1 else {start, start - timedelta(hours=model.step_hours)}
        needed |= {start + step for start in starts}
        read = _read_underlying(settings, sorted(needed), model.grid, Path(f"{destination}.underlying.nc"))
        later_states = _later_states(settings, model, read, starts, max(later)) if later else {}
        states = [later_states[time] if time > since else read(time) for time in times]
        about = {
            "title": f"Twin of an archive ({settings['of']}) since {since:%Y-%m-%dT%H}, with {settings['share']:g} of "
            "the error of its forecast model",
        }
        write_states(destination, np.asarray(states), times, model.grid, about)


def _check_steps(model: dict[str, Any], step_hours: int) -> timedelta:
    """Refuse models that do not step from state to state; return the time between frames, 0 for a single frame."""
    try:
        check_model(**model)
    except ValueError as error:
        raise ValueError(f"forecast_model: {error}") from None
    declaration = MODELS[model["name"]]
    own = declaration.step_hours(model)
    if own and step_hours % own:
        raise ValueError(
            f"forecast_model: the step of {model['weights']}, {own} h, does not divide the archive's step_hours, "
            f"{step_hours} h"
        )
    if declaration.frame_hours not in (0, step_hours):
        raise ValueError(
            f"forecast_model: {model['name']} starts from two frames {declaration.frame_hours} h apart, so the "
            f"archive's step_hours must be the same, not {step_hours} h"
        )
    return timedelta(hours=declaration.frame_hours)


def _time_of_archive(key: str, text: str, start: datetime, step_hours: int) -> datetime:
    try:
        time = parse(text)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None
    if (time - start) % timedelta(hours=step_hours):
        raise ValueError(
            f"{key}: {text} is not a time of the archive, which has states every {step_hours} h from "
            f"{start:%Y-%m-%dT%H} on"
        )
    return time


def _error_starts(settings: dict[str, Any]) -> list[datetime]:
    errors = settings["errors"]
    return times_between(parse(errors["start"]), parse(errors["end"]), errors["every_hours"])


def _underlying(settings: dict[str, Any]) -> dict[str, Any]:
    """The section of the archive as it would be without the twin."""
    own = names_of(TwinSettings)
    return {key: value for key, value in settings.items() if key not in own} | {"source": settings["of"]}


def _read_underlying(
    settings: dict[str, Any], times: list[datetime], grid: Grid, scratch: Path
) -> Callable[[datetime], np.ndarray | None]:
    """States of the underlying source on a grid, by their times."""
    from ...archive.prepare import prepare

    section = _underlying(settings)
    try:
        SOURCES[section["source"]].fetch(section, times, str(scratch))
        found, parts = prepare(scratch, grid, None, tuple(section.get("derive", ())))
        states = [state for part in parts for state in part]
    finally:
        scratch.unlink(missing_ok=True)
    return dict(zip(found, states, strict=True)).get


def _later_states(
    settings: dict[str, Any],
    model: ForecastModel,
    read: Callable[[datetime], np.ndarray | None],
    starts: list[datetime],
    last: datetime,
) -> dict[datetime, np.ndarray]:
    """The twin's states by their times, up to the last."""
    from functools import partial

    from ...runtime.step import device
    from .. import frames
    from ..perturbed import perturbation, sampled_errors, trajectory

    since = parse(settings["since"])
    step_hours = settings["step_hours"]
    states, previous = frames(model, read, [since], device())
    added = None
    if starts:
        errors = sampled_errors(model, read, starts, step_hours, device())
        added = partial(perturbation, errors, settings["share"], settings["seed"])
    found = {}
    for time, state in trajectory(model, states, previous, since, step_hours, added):
        found[time] = state[0].cpu().numpy()
        if time >= last:
            break
    return found
