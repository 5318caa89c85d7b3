"""Which observations are wanted when, and which files they come from."""

from collections.abc import Iterable
from datetime import timedelta
from functools import cached_property
from typing import Any

from ..fields.timeline import from_hours, parse, shift
from ..fields.timeline import name as time_name
from ..observations import NETWORKS
from ..observations.network import CYCLE_HOURS
from .experiments import Experiment, Experiments
from .windows import WindowPlan

#: keys of a network that name files
FILES = ("stations", "orography", "error_table")
#: keys of a network that say how O - B is checked
DEPARTURE_CHECKS = ("background_check", "buddy_check", "buddy_distance_km")


class ObservationPlan:
    """The section `observations`.

    Parameters
    ----------
    config : dict
        The configuration, checked.
    """

    def __init__(self, config: dict[str, Any], experiments: Experiments, windows: WindowPlan) -> None:
        self._networks: dict[str, dict[str, Any]] = config["observations"]
        self._experiments = experiments
        self._windows = windows

    def of_source(self, *sources: str, origin: str | None = None) -> list[str]:
        """Names of the networks of some sources; of those with a key `origin`, where that is given."""
        return [
            name
            for name, network in self._networks.items()
            if network["source"] in sources and (origin is None or origin in network)
        ]

    def checked(self) -> list[str]:
        """Names of the networks whose observations are decoded and checked."""
        return self.of_source(*(source for source, kind in NETWORKS.items() if kind.checked))

    def is_checked(self, experiment: Experiment) -> bool:
        """Whether an experiment's observations are of such a network."""
        return experiment.entry["observations"] in self.checked()

    @cached_property
    def _times(self) -> dict[str, dict[str, list[str]]]:
        """By network and by the day of the analyses that use it, the times at which observations are wanted."""
        wanted: dict[str, dict[str, set[str]]] = {}
        for experiment in self._experiments.values():
            days = wanted.setdefault(experiment.entry["observations"], {})
            for time in experiment.cycles:
                times = days.setdefault(time[:8], set())
                times.update(shift(time, offset) for offset in self._windows.slots(experiment))
        return {
            network: {day: sorted(times) for day, times in sorted(days.items())} for network, days in wanted.items()
        }

    def times(self, network: str, day: str) -> list[str]:
        """The times at which a day's analyses want observations of a network."""
        return self._times.get(network, {}).get(day, [])

    def table(self, experiment: Experiment, time: str) -> str:
        """The table with the observations of an analysis."""
        return f"results/observations/{experiment.entry['observations']}/{time[:8]}.nc"

    def settings(self, network: str, *names: str) -> dict[str, Any]:
        """Some of a network's settings."""
        return {name: self._networks[network].get(name) for name in names}

    def named_files(self, network: str, names: Iterable[str] = FILES) -> dict[str, str]:
        """Those of the files that a network names which it has, by name."""
        entry = self._networks[network]
        return {name: entry[name] for name in names if entry.get(name)}

    def decoding_files(self, network: str) -> dict[str, str]:
        """The files that a network's reports are decoded with, by name."""
        return self.named_files(network, ("orography", "error_table"))

    def decoded_from(self, network: str, cycle: str) -> list[str]:
        """The files that a user brings and a cycle's reports are decoded from and with."""
        return [*self.decoding_files(network).values(), *self.own_files(network, cycle)]

    def fetched_file(self, network: str, cycle: str) -> str:
        """A cycle's PrepBUFR file that is downloaded or simulated."""
        return f"results/observations/{network}/prepbufr/{cycle}.prepbufr"

    def own_files(self, network: str, cycle: str) -> list[str]:
        """Files of a cycle's reports that a user brings."""
        entry = self._networks[network]
        return NETWORKS[entry["source"]].own_files(entry, parse(cycle))

    def all_own_files(self) -> list[tuple[str, str]]:
        """The files that a user brings of all cycles that are wanted, each with the key that names it."""
        files = {
            path: f"observations.{network}.path"
            for network in self.checked()
            for day in self._times.get(network, {})
            for cycle in self.cycles(network, day)
            for path in self.own_files(network, cycle)
        }
        return [(key, path) for path, key in files.items()]

    def cycles(self, network: str, day: str) -> list[str]:
        """The cycles, every 6 h with reports of 3 h before and after, that the windows of a day reach into."""
        half = timedelta(hours=self._networks[network]["half_window_hours"])
        ends = [
            parse(time) + side for time in self.times(network, day) for side in (-half, half - timedelta(seconds=1))
        ]
        seconds = CYCLE_HOURS * 3600
        numbers = {int(end.timestamp() + seconds / 2) // seconds for end in ends}
        return [time_name(from_hours(number * CYCLE_HOURS)) for number in sorted(numbers)]

    def decoded(self, network: str, day: str) -> list[str]:
        """Tables of all data of a day's cycles."""
        return [f"results/observations/{network}/decoded/{cycle}.nc" for cycle in self.cycles(network, day)]

    def departure_checks(self, experiment: Experiment) -> dict[str, Any] | None:
        """What an experiment's network says of checks of O - B, or None."""
        if not self.is_checked(experiment):
            return None
        return self.settings(experiment.entry["observations"], *DEPARTURE_CHECKS)

    def departure_inputs(self, experiment: Experiment) -> dict[str, str]:
        """The background's errors, where O - B is checked."""
        if not self.is_checked(experiment):
            return {}
        return {"background_deviation": "results/background/nmc_training_set.nc"}
