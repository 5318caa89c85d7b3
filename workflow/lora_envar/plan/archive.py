"""Which files of the archive hold which states, and what each is made from."""

from datetime import datetime, timedelta
from typing import Any

from ..archive import named_files
from ..fields.timeline import name as time_name
from ..fields.timeline import parse
from ..forecast import MODELS
from .blocks import block_names, block_times

#: blocks of the archive's finer period, and of the archive that forecast errors are drawn from
FINER = "finer_"
TRAINING = "training_"
#: of a section `archive` what says which states there are; all else decides on their values (so may the step)
EXTENT = ("start", "end", "block_days", "finer")


class ArchivePlan:
    """The archive, its finer period, and the training archive.

    Parameters
    ----------
    config : dict
        The configuration, checked.

    Attributes
    ----------
    frame_hours, training_frame_hours : int
        Between the two frames from which forecasts start, to cycle with and to draw errors with; 0 for models of one.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self._config = config
        self._archive = config["archive"]
        self._start = parse(self._archive["start"])
        self._end = parse(self._archive["end"])
        finer = self._archive.get("finer")
        self._finer = (parse(finer["start"]), parse(finer["end"])) if finer else None
        #: where forecast errors are drawn: at a scale of their own, or that of the cycles
        self.training: dict[str, Any] = config.get("training", config)
        self.frame_hours = MODELS[config["forecast_model"]["name"]].frame_hours
        self.training_frame_hours = MODELS[self.training["forecast_model"]["name"]].frame_hours

    def files(self, first: datetime, last: datetime) -> list[str]:
        """Files that hold the states from first to last, of the finer period where that holds both."""
        days = self._archive["block_days"]
        if self._finer and self._finer[0] <= first and last <= self._finer[1]:
            return self._paths(FINER, block_names(first, last, self._finer[0], days))
        return self._paths("", block_names(first, last, self._start, days))

    def files_of_times(self, names: list[str]) -> list[str]:
        """Files that hold the states from the first to the last of some times, which are in order."""
        if not names:
            return []
        return self.files(parse(names[0]), parse(names[-1]))

    def file(self, time: str) -> str:
        """The file that holds the state of a time."""
        return self.files(parse(time), parse(time))[0]

    def training_files(self, first: datetime, last: datetime) -> list[str]:
        """Files of the states from first to last, of which forecast errors are drawn."""
        if "training" not in self._config:
            return self.files(first, last)
        archive = self.training["archive"]
        return self._paths(TRAINING, block_names(first, last, parse(archive["start"]), archive["block_days"]))

    @staticmethod
    def _paths(kind: str, names: list[str]) -> list[str]:
        return [f"results/archive/states/{kind}{name}.nc" for name in names]

    def frames(self, start: datetime) -> list[str]:
        """Files with the state at a start of forecasts, and the frame before it for models that need that."""
        return self.files(start - timedelta(hours=self.frame_hours), start)

    def end(self, time: datetime) -> datetime:
        """The last state of what an experiment of a time is judged with."""
        if self._finer and self._finer[0] <= time <= self._finer[1]:
            return self._finer[1]
        return self._end

    def section(self, block: str) -> dict[str, Any]:
        """The section `archive` as a block of it, of its finer period or of the training archive is fetched."""
        if block.startswith(TRAINING):
            return self.training["archive"]
        return {**self._archive, **self._archive["finer"]} if block.startswith(FINER) else self._archive

    def source(self, block: str) -> dict[str, Any]:
        """Of a block's section what decides on the values of its states; its times are given apart."""
        return {key: value for key, value in self.section(block).items() if key not in EXTENT}

    def grid(self, block: str) -> dict[str, Any]:
        """The grid of a block's states."""
        return self.training["grid"] if block.startswith(TRAINING) else self._config["grid"]

    def derived(self, block: str) -> list[str]:
        """Surface variables that may be derived where they are missing."""
        return self.section(block).get("derive", [])

    def brought(self, block: str) -> list[str]:
        """Files or folders that a block is made from and a user brings."""
        return list(named_files(self.section(block)).values())

    def times(self, block: str) -> list[str]:
        """Names of the times of a block's states."""
        section = self.section(block)
        start = parse(section["start"])
        end = parse(section["end"])
        day = block.rpartition("_")[2]
        return [time_name(time) for time in block_times(day, start, end, section["block_days"], section["step_hours"])]
