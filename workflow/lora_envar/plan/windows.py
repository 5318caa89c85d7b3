"""Windows of 4D-Var: when their observations lie, and on which forecasts their model's errors are measured."""

from datetime import datetime, timedelta
from typing import Any

from ..fields.timeline import name as time_name
from ..fields.timeline import parse, times
from .archive import ArchivePlan
from .experiments import Experiment
from .models import ModelFiles
from .training_set import TrainingSetPlan

#: hours between forecasts that are judged, where nothing else is said
EVERY_HOURS = 24


class WindowPlan:
    """The section `windows`.

    Parameters
    ----------
    config : dict
        The configuration, checked.
    """

    def __init__(self, config: dict[str, Any], archive: ArchivePlan, training_set: TrainingSetPlan) -> None:
        self._windows: dict[str, dict[str, Any]] = config.get("windows", {})
        self._archive = archive
        self._training_set = training_set

    def __getitem__(self, name: str) -> dict[str, Any]:
        return self._windows[name]

    def of(self, experiment: Experiment) -> dict[str, Any] | None:
        """The entry of the window that an experiment names, or None."""
        return self._windows.get(experiment.entry.get("window", ""))

    def slots(self, experiment: Experiment) -> list[int]:
        """Hours after an analysis time at which its observations lie."""
        window = self.of(experiment)
        if window is None:
            return [0]
        return [slot * window["slot_hours"] for slot in range(window["slots"])]

    def files_of(self, name: str) -> ModelFiles:
        """Files of the forecast model of a window."""
        return ModelFiles.of(self._windows[name]["model"])

    def model_files(self, experiment: Experiment) -> ModelFiles:
        """Files of the forecast model of an experiment's window."""
        window = self.of(experiment)
        return ModelFiles.of(window["model"] if window else None)

    def inputs(self, experiment: Experiment) -> dict[str, str]:
        """What an analysis with a window needs beside its model."""
        if self.of(experiment) is None:
            return {}
        return {"forecast_error": f"results/background/forecast_error_{experiment.entry['window']}.csv"}

    def measured_in(self, name: str) -> tuple[datetime, datetime, int]:
        """When a window's model is judged: first and last time, and hours between forecasts."""
        period = self._windows[name].get("measured_in")
        if not period:
            return self._training_set.start, self._training_set.end, EVERY_HOURS
        return parse(period["start"]), parse(period["end"]), period["every_hours"]

    def archive_files(self, name: str) -> list[str]:
        """Files of the states by which a window's model is judged."""
        start, end, _ = self.measured_in(name)
        return self._archive.files(start, end)

    def starts(self, name: str) -> list[str]:
        """Starts of the forecasts whose errors are measured, so that all end in the period."""
        window = self._windows[name]
        start, end, every_hours = self.measured_in(name)
        last = end - timedelta(hours=(window["slots"] - 1) * window["slot_hours"])
        return [time_name(time) for time in times(start, last, every_hours)]
