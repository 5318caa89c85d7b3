"""Which forecast errors the training set holds, and which files they are drawn from."""

from datetime import datetime, timedelta
from typing import Any

from ..fields.spreading import evenly
from ..fields.timeline import name as time_name
from ..fields.timeline import parse, times
from .archive import ArchivePlan
from .blocks import block_names, block_times
from .models import ModelFiles

#: most forecasts by which the errors of the forecast model between analyses are sampled
MODEL_ERRORS = 300


class TrainingSetPlan:
    """Forecast errors by the NMC method, and the climatology of the same period.

    Parameters
    ----------
    config : dict
        The configuration, checked.
    archive : ArchivePlan
    """

    def __init__(self, config: dict[str, Any], archive: ArchivePlan) -> None:
        self._nmc = config["nmc"]
        self._cycle = timedelta(hours=config["cycling"]["step_hours"])
        self._truth = config["archive"]
        self._archive = archive
        self.start = parse(self._nmc["start"])
        self.end = parse(self._nmc["end"])
        #: the section of the model whose errors are drawn
        self.model: dict[str, Any] = archive.training["forecast_model"]
        self.model_files = ModelFiles.of(self.model)

    @property
    def blocks(self) -> list[str]:
        """Names of the blocks of start times."""
        return block_names(self.start, self.end, self.start, self._nmc["block_days"])

    def _starts(self, block: str) -> list[datetime]:
        return block_times(block, self.start, self.end, self._nmc["block_days"], self._nmc["every_hours"])

    def starts(self, block: str) -> list[str]:
        """Names of a block's start times of the longer forecasts."""
        return [time_name(time) for time in self._starts(block)]

    def archive_files(self, block: str) -> list[str]:
        """Files of the states that a block's forecasts start from."""
        starts = self._starts(block)
        before = timedelta(hours=self._archive.training_frame_hours)
        return self._archive.training_files(starts[0] - before, starts[-1] + timedelta(hours=self._nmc["tau_hours"]))

    def model_error_times(self) -> list[str]:
        """Names of the start times of the forecasts whose errors are sampled: at most `MODEL_ERRORS`, evenly spread."""
        return evenly([time for block in self.blocks for time in self.starts(block)], MODEL_ERRORS)

    def model_error_files(self) -> list[str]:
        """Files of the states that these start from and are compared with."""
        before = timedelta(hours=self._archive.training_frame_hours)
        return self._archive.training_files(self.start - before, self.end + self._cycle)

    def model_error_share(self) -> float:
        """How large errors of the model are in the cycles, over those that are sampled so.

        1, but in a twin of this model that begins after the training period: its truth has a share of these errors.
        """
        twin = self._truth["source"] == "twin" and self._truth["forecast_model"] == self.model
        if twin and parse(self._truth["since"]) >= self.end + self._cycle:
            return self._truth["share"]
        return 1.0

    def climatology_files(self) -> list[str]:
        """Files of the states that the climatology is the mean of."""
        return self._archive.training_files(self.start, self.end)

    def climatology_times(self) -> list[str]:
        """Names of the times of these states."""
        return [time_name(time) for time in times(self.start, self.end, self._nmc["every_hours"])]

    def all_files(self) -> list[str]:
        """Files of the archive that the training set reads."""
        return self._archive.training_files(self.start, self.end + timedelta(hours=2 * self._nmc["tau_hours"]))
