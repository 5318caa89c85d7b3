"""Read the case of an analysis from the files of its cycle."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ..fields.grid import Grid
from ..fields.timeline import hours_since_1970
from ..files.state_file import StateFile, read_per_channel
from ..forecast import load_model
from ..observations.quality import DepartureChecks
from ..observations.table import read_observations
from ..observations.window import Window, read_forecast_error
from .assimilate import Case
from .minimisation import MinimiserSettings


def read_case(
    files: Mapping[str, Any],
    time: datetime,
    error_grid: Grid,
    minimiser: Mapping[str, Any],
    window: Mapping[str, Any] | None,
    checks: Mapping[str, Any] | None,
    device: str = "cpu",
    denied: Sequence[str] = (),
) -> Case:
    """Read the inputs of an analysis.

    Parameters
    ----------
    files : mapping
        Name -> path: ``background`` and ``observations``; ``forecast_error`` of a window; ``background_deviation``
        where departures are checked.
    time : datetime
        The analysis time.
    error_grid : Grid
        Of background errors.
    minimiser, window, checks : mapping
        As in the configuration; None means no window, and no checks.
    device : str
    denied : sequence of str
        See `Case`.

    Raises
    ------
    ValueError
        If a file cannot be read, or something in it is missing.
    """
    start = hours_since_1970(time)
    background = StateFile(files["background"])
    over = None
    if window:
        slots = window["slots"], window["slot_hours"]
        model = load_model(**window["model"], device=device)
        forecast_error = read_forecast_error(files["forecast_error"], *slots).to(device)
        over = Window(start, *slots, model, forecast_error, window["checkpoint"])
    checked = None
    if checks:
        deviation = read_per_channel(files["background_deviation"], "standard_deviation")
        checked = DepartureChecks(background_deviation=deviation, **checks)
    observations = read_observations(files["observations"]).at(over.hours if over else [start])
    settings = MinimiserSettings(**minimiser)
    return Case(
        background.read(time),
        background.grid,
        error_grid,
        observations,
        settings,
        over,
        checked,
        tuple(denied),
        device,
    )
