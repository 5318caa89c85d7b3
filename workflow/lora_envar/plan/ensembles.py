"""Which forecasts are the members of an experiment's ensemble at a time."""

from datetime import timedelta
from typing import Any

from ..analysis.method import Method
from ..fields.timeline import parse, shift, year_before
from .experiments import Experiment, Experiments

TRAINING_SET = "results/background/nmc_training_set.nc"


def background_file(name: str, vae: str | None = None) -> str:
    """What is fitted to forecast errors once, of a VAE where one is named."""
    return "/".join(filter(None, ["results/background", vae, f"{name}.safetensors"]))


def fitted_files(method: type[Method], vae: str | None) -> dict[str, str]:
    """By name, the files of this kind that a method's analyses are made with."""
    files = {name: background_file(name) for name in method.fitted_files}
    return files | {name: background_file(name, vae) for name in method.vae_files}


class EnsemblePlan:
    """Ensembles of experiments, time-lagged or cycled, and what is finetuned on them.

    Parameters
    ----------
    config : dict
        The configuration, checked.
    """

    def __init__(self, config: dict[str, Any], experiments: Experiments) -> None:
        self._experiments = experiments
        self._step = config["cycling"]["step_hours"]

    def own_files(self, experiment: Experiment, time: str) -> list[str]:
        """Files of the experiment's forecasts that start less than its ensemble's size of cycles before `time`.

        The youngest comes first, none is older than the experiment. Those of single-step experiments start from the
        reanalysis. There are none where the members are a filter's, see `cycled_file`.
        """
        if experiment.single_step:
            return self._from_reanalysis(time, experiment.lags)
        first = parse(experiment.cycles[0])
        valid = [shift(time, -self._step * lag) for lag in range(experiment.lags)]
        return [f"results/{experiment.name}/{each}/members.nc" for each in valid if parse(each) > first]

    @staticmethod
    def cycled_file(filter_name: str, time: str) -> str:
        """The backgrounds of all members that a filter cycles."""
        return f"results/{filter_name}/{time}/background_ensemble.nc"

    def last_year_files(self, experiment: Experiment, time: str) -> list[str]:
        """Files of the ensemble's forecasts of the same date a year before."""
        return self._from_reanalysis(year_before(time), experiment.last_year)

    def _from_reanalysis(self, time: str, count: int) -> list[str]:
        """Files of forecasts from the reanalysis that are valid at `time`, the youngest first."""
        starts = [shift(time, -self._step * lag) for lag in range(1, count + 1)]
        return [f"results/reanalysis_forecasts/{start}.nc" for start in starts]

    def reanalysis_leads(self) -> int:
        """How many leads any experiment takes from a forecast that starts from the reanalysis."""
        counts = [0]
        for experiment in self._experiments.values():
            counts.append(experiment.last_year)
            if experiment.single_step:
                counts.append(experiment.lags)
        return max(counts)

    def whole(self, experiment: Experiment) -> list[str]:
        """The analysis times whose ensemble has all its members."""
        return [time for time in experiment.cycles if len(self.own_files(experiment, time)) == experiment.lags]

    def valid(self, experiment: Experiment, time: str) -> tuple[Experiment, str]:
        """Whose members are finetuned on, and when they are valid.

        Members of other days are the donor's, or the filter's, of half a period later, on a circle of the cycles with a
        whole ensemble.
        """
        if experiment.member_source != "other_days":
            return experiment, time
        donor = self._experiments[experiment.ensemble_of or experiment.entry["donor"]]
        younger = 0 if donor.single_step else donor.lags
        whole = donor.cycles[younger:]
        since = parse(time) - parse(whole[0])
        index = since // timedelta(hours=self._step) + len(whole) // 2
        return donor, whole[index % len(whole)]

    def finetune_inputs(self, experiment: Experiment, time: str) -> dict[str, Any]:
        """What a cycle's VAE is finetuned on, and what it starts from."""
        inputs: dict[str, Any] = {
            "vae": background_file("vae", experiment.vae),
            "before": self._finetuned_before(experiment, time),
        }
        if experiment.member_source == "nmc":
            return inputs | {"samples": TRAINING_SET, "last_year": []}
        donor, valid = self.valid(experiment, time)
        if experiment.ensemble_of:
            return inputs | {"cycled_members": self.cycled_file(experiment.ensemble_of, valid)}
        return inputs | {
            "samples": self.own_files(donor, valid),
            "last_year": self.last_year_files(donor, valid),
        }

    def _finetuned_before(self, experiment: Experiment, time: str) -> list[str]:
        if not experiment.finetune_settings.get("carry_over"):
            return []
        before = shift(time, -self._step)
        return [] if parse(before) < experiment.first else [self.finetuned_file(experiment, before)]

    @staticmethod
    def finetuned_file(experiment: Experiment, time: str) -> str:
        """What the method finetunes in a cycle."""
        return f"results/{experiment.name}/{time}/{experiment.method.finetuned_file}.safetensors"

    def analysis_inputs(self, experiment: Experiment, time: str) -> dict[str, Any]:
        """What the method's background error is made of: what was fitted, finetuned, or the members themselves."""
        method = experiment.method
        files: dict[str, Any] = fitted_files(method, experiment.vae)
        if method.finetuned_file:
            files["finetuned"] = self.finetuned_file(experiment, time)
        elif experiment.ensemble_of:
            files["cycled_members"] = self.cycled_file(experiment.ensemble_of, time)
        elif method.ensemble:
            files["members"] = self.own_files(experiment, time)
            files["last_year"] = self.last_year_files(experiment, time)
        elif method.cycled_ensemble:
            files["ensemble"] = self.cycled_file(experiment.name, time)
        return files
