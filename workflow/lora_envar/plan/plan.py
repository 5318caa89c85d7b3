"""The plan of a run: which files there are to be, and what each is made from.

Every input function of a rule is one call of this. It is pure Python and quick to import, since Snakemake reads it at
every start, and starts twice in every job of a cluster.
"""

from datetime import timedelta
from typing import Any

from ..fields.timeline import parse, shift
from .archive import TRAINING, ArchivePlan
from .brought import named_files
from .ensembles import EnsemblePlan
from .experiments import Experiment, Experiments, PlanError
from .models import ModelFiles, TrainedModels
from .observations import ObservationPlan
from .training_set import TrainingSetPlan
from .vaes import VAEPlan
from .verification import VerificationPlan
from .windows import WindowPlan


def any_of(names: list[str]) -> str:
    """A pattern for a wildcard; one that nothing matches where there are no names."""
    return "|".join(names) or "(?!)"


def all_files(inputs: dict[str, dict[str, Any]]) -> list[str]:
    """The paths of what is made from named files, or lists of files, each once."""
    paths: set[str] = set()
    for files in inputs.values():
        for given in files.values():
            paths.update([given] if isinstance(given, str) else given)
    return sorted(paths)


class Plan:
    """All that a configuration leads to.

    Attributes
    ----------
    experiments : Experiments
    vaes : dict
        By name, a `VAEPlan` each.
    archive : ArchivePlan
    training_set : TrainingSetPlan
    windows : WindowPlan
    observations : ObservationPlan
    ensembles : EnsemblePlan
    verification : VerificationPlan
    model_files : ModelFiles
        Of the forecast model that cycles.
    trained_models : TrainedModels

    Parameters
    ----------
    config : dict
        The configuration: checked, with the settings that a search found, replicates expanded.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self._config = config
        self.experiments = Experiments(config)
        self.vaes = {name: VAEPlan(entry) for name, entry in config["vaes"].items()}
        self.archive = ArchivePlan(config)
        self.training_set = TrainingSetPlan(config, self.archive)
        self.windows = WindowPlan(config, self.archive, self.training_set)
        self.observations = ObservationPlan(config, self.experiments, self.windows)
        self.ensembles = EnsemblePlan(config, self.experiments)
        self.verification = VerificationPlan(config, self.experiments, self.archive, self.observations, self.ensembles)
        self.model_files = ModelFiles.of(config["forecast_model"])
        self.trained_models = TrainedModels(config, self.archive)
        self._first_guess_hours = config["cycling"]["first_guess_hours"]
        self._step = config["cycling"]["step_hours"]
        self._block_days = config["cycling"].get("block_days", 1)

    @property
    def methods(self) -> dict[str, str]:
        """Name of the method of every experiment that is compared."""
        return {experiment.name: experiment.method.name for experiment in self.experiments.compared}

    def brought(self) -> list[tuple[str, str]]:
        """Keys and paths of all files that a user brings."""
        return [*named_files(self._config), *self.observations.all_own_files()]

    def learning_curves(self) -> dict[str, str]:
        """Tables of the networks that are trained from scratch, by their names."""
        vaes = [name for name, vae in self.vaes.items() if not vae.initial_weights]
        return self.trained_models.curves() | {name: f"results/background/{name}/training.csv" for name in vaes}

    @property
    def learning_figures(self) -> list[str]:
        """The figure of these; none where nothing is trained from scratch."""
        return ["results/figures/learning_curves.svg"] if self.learning_curves() else []

    # patterns: every file has one rule that makes it

    @property
    def first_guess_pattern(self) -> str:
        """A pattern for {experiment}/{time} of the backgrounds that come from the reanalysis."""
        return any_of(
            [
                f"{experiment.name}/{time}"
                for experiment in self.experiments.values()
                for time in experiment.first_guesses
            ]
        )

    def analysed_pattern(self, kind: str) -> str:
        """A pattern for experiments by what an analysis writes for the next.

        ``cycled_ensemble``: analyses of all members; ``adaptive``: amplitudes; ``plain``: nothing.
        """
        return any_of([name for name, experiment in self.experiments.items() if experiment.kind == kind])

    @property
    def first_ensemble_pattern(self) -> str:
        """A pattern for {experiment}/{time} of the first ensembles of these."""
        own = [experiment for experiment in self.experiments.values() if experiment.method.cycled_ensemble]
        return any_of([f"{experiment.name}/{experiment.cycles[0]}" for experiment in own])

    def later_cycles_pattern(self, with_ensemble: bool = False, cycled: bool = False) -> str:
        """A pattern for experiments whose backgrounds come from the analysis before.

        Of those with a time-lagged ensemble or without, or of those that cycle an ensemble of their own. It does not
        match in the path of a first background.
        """
        kind = (with_ensemble, cycled)
        later = [
            experiment
            for experiment in self.experiments.values()
            if (experiment.lags > 0, experiment.method.cycled_ensemble) == kind and not experiment.single_step
        ]
        first = any_of([f"{experiment.name}/{experiment.cycles[0]}" for experiment in later])
        return f"(?!({first})/)({any_of([experiment.name for experiment in later])})"

    # steps of a cycle

    def first_guess_start(self, experiment_and_time: str) -> str:
        """Start of the forecast from the reanalysis that is the background at {experiment}/{time}."""
        return shift(experiment_and_time.rpartition("/")[2], -self._first_guess_hours)

    def first_guess_files(self, experiment_and_time: str) -> list[str]:
        """Files of the archive that this forecast starts from, and is judged by after a cycle's length."""
        start = parse(self.first_guess_start(experiment_and_time))
        before = timedelta(hours=self.archive.frame_hours)
        return self.archive.files(start - before, start + timedelta(hours=self._step))

    def background_inputs(self, name: str, time: str) -> dict[str, Any]:
        """The analysis before a cycle, from which its background starts, and one frame before that, if it is needed.

        Of an ensemble that is cycled, those of all members.

        Raises
        ------
        PlanError
            If the time is no cycle.
        """
        experiment = self.experiments[name]
        start = experiment.before(time)
        file = "analysis_ensemble" if experiment.method.cycled_ensemble else "analysis"
        return {
            "analysis": f"results/{name}/{start}/{file}.nc",
            "before": self._frame_before(experiment, start, file),
        }

    def _frame_before(self, experiment: Experiment, start: str, file: str = "analysis") -> list[str]:
        """The analysis one frame before the start of forecasts, if there is one, for models of two frames."""
        if not self.archive.frame_hours:
            return []
        before = shift(start, -self.archive.frame_hours)
        return [f"results/{experiment.name}/{before}/{file}.nc"] if before in experiment.cycles else []

    def background_start(self, name: str, time: str) -> str:
        """When the forecast that is the background of a cycle starts."""
        return self.experiments[name].before(time)

    def additive_error(self, name: str) -> float:
        """The share of the sampled model errors that is added to an experiment's members."""
        return self.training_set.model_error_share() * self.experiments[name].settings["additive_error"]

    def finetune_inputs(self, name: str, time: str) -> dict[str, Any]:
        """What a cycle's VAE is finetuned on, and what it starts from."""
        return self.ensembles.finetune_inputs(self.experiments[name], time)

    def members_valid(self, name: str, time: str) -> str:
        """When the members are valid that a cycle's VAE is finetuned on."""
        return self.ensembles.valid(self.experiments[name], time)[1]

    def window_of(self, name: str) -> dict[str, Any] | None:
        """The entry of the window of an experiment, or None."""
        return self.windows.of(self.experiments[name])

    def window_model_files(self, name: str) -> ModelFiles:
        """Files of the forecast model of an experiment's window."""
        return self.windows.model_files(self.experiments[name])

    def departure_checks(self, name: str) -> dict[str, Any] | None:
        """What an experiment's network says of checks of O - B, or None."""
        return self.observations.departure_checks(self.experiments[name])

    def reanalysis_forecast_inputs(self, time: str) -> dict[str, Any]:
        """The state of the archive from which members start, and one frame before, if it is needed."""
        before = self.archive.frames(parse(time))[:1] if self.archive.frame_hours else []
        return {"analysis": self.archive.file(time), "before": before}

    def medium_range_inputs(self, name: str, time: str) -> dict[str, Any]:
        """The analysis from which a medium-range forecast starts, and one frame before, if it is needed."""
        return {
            "analysis": f"results/{name}/{time}/analysis.nc",
            "before": self._frame_before(self.experiments[name], time),
        }

    def analysis_inputs(self, name: str, time: str) -> dict[str, Any]:
        """What an analysis is made with, beside its background.

        Raises
        ------
        PlanError
            If the time is no cycle.
        """
        experiment = self.experiments[name]
        experiment.require(time, experiment.cycles)
        return {
            "observations": self.observations.table(experiment, time),
            **self._background_error_inputs(experiment, time),
            **self.windows.inputs(experiment),
            **self.observations.departure_inputs(experiment),
        }

    def _background_error_inputs(self, experiment: Experiment, time: str) -> dict[str, Any]:
        """Inputs of a cycle's background error, amplitudes included."""
        return {
            **self.ensembles.analysis_inputs(experiment, time),
            **self._amplitudes_before(experiment, time),
        }

    def single_observation_inputs(self, name: str, times: list[str]) -> dict[str, dict[str, Any]]:
        """What single observations are assimilated with in each of some cycles of an experiment.

        Raises
        ------
        PlanError
            If a time is no cycle, or the experiment uses no observations.
        """
        experiment = self.experiments[name]
        if not experiment.method.assimilates:
            raise PlanError(
                f"{name} uses no observations (method {experiment.method.name}), so that there are no increments; "
                "leave it out"
            )
        inputs: dict[str, dict[str, Any]] = {}
        for time in times:
            experiment.require(time, experiment.cycles)
            inputs[time] = {
                "background": f"results/{name}/{time}/background.nc",
                "observations": self.observations.table(experiment, time),
                **self._background_error_inputs(experiment, time),
            }
        return inputs

    def single_observation_files(self, name: str) -> list[str]:
        """All files of these, of the times at which experiments are compared by single observations.

        Raises
        ------
        PlanError
            If there are no such times, or no observations.
        """
        if not self.verification.single.figures:
            raise PlanError(
                "verification.single_observations: empty, or the compared experiments have no cycle in common, so that "
                "there are no increments to compute"
            )
        return all_files(self.single_observation_inputs(name, self.verification.single.times))

    @staticmethod
    def _amplitudes_before(experiment: Experiment, time: str) -> dict[str, str]:
        """Amplitudes that an adaptive experiment has learned so far, from the second cycle on."""
        if not experiment.adaptive or time == experiment.cycles[0]:
            return {}
        before = experiment.cycles[experiment.cycles.index(time) - 1]
        return {"amplitudes": f"results/{experiment.name}/{before}/amplitudes.csv"}

    def submission(self, name: str, time: str) -> str:
        """The submission to a cluster that a step of a cycle belongs to."""
        return self.experiments[name].block(time, self._block_days)

    # storage

    def counts(self) -> dict[str, Any]:
        """How many states, samples and files there will be, see `plan.storage.requirements`."""
        blocks = self._needed_blocks()
        training = {block for block in blocks if block.startswith(TRAINING)}
        compared = self.experiments.compared
        leads = len(self.verification.lead_hours)
        days = {
            (experiment.entry["observations"], time[:8])
            for experiment in self.verification.reported
            for time in experiment.cycles
        }
        downloaded = self.observations.of_source("prepbufr", origin="url")
        return {
            "training_times": sum(len(self.archive.times(block)) for block in training),
            "archive_times": sum(len(self.archive.times(block)) for block in blocks - training),
            "samples": sum(len(self.training_set.starts(block)) for block in self.training_set.blocks),
            "model_errors": len(self.training_set.model_error_times())
            * any(experiment.method.cycled_ensemble for experiment in compared),
            "reports": 4 * sum(network in downloaded for network, _ in days),
            "reanalysis_members": len(self._reanalysis_members()) * self.ensembles.reanalysis_leads(),
            "experiments": {
                experiment.name: {
                    "cycles": len(experiment.cycles),
                    "forecasts": leads * len(self.verification.forecast_starts(experiment)),
                    "members": 0 if experiment.single_step else (len(experiment.cycles) - 1) * experiment.lags,
                    # of each member, a background and an analysis
                    "ensemble": 2
                    * len(experiment.cycles)
                    * experiment.ensemble_size
                    * experiment.method.cycled_ensemble,
                    "increments": len(self.verification.single.texts)
                    * len(self.verification.single.times)
                    * (experiment in self.verification.single.experiments),
                    "samples": self.verification.spread.samples * len(self.verification.spread.times(experiment)),
                    "vaes": len(experiment.cycles) if experiment.method.finetuned_file == "vae" else 0,
                    "vae": experiment.vae,
                }
                for experiment in compared
            },
        }

    def _reanalysis_members(self) -> set[str]:
        """Files of all members that start from the reanalysis."""
        paths: set[str] = set()
        for experiment in self.experiments.compared:
            for time in experiment.cycles:
                paths.update(self.ensembles.last_year_files(experiment, time))
                if experiment.single_step:
                    paths.update(self.ensembles.own_files(experiment, time))
        return paths

    def _needed_blocks(self) -> set[str]:
        """Names of the archive's blocks that experiments, and the products that they need, read."""
        paths = set(self.training_set.all_files())
        paths.update(self.trained_models.all_files())
        paths.update(self.verification.gate_files())
        leads = self.verification.lead_hours or [0]
        for experiment in self.experiments.compared:
            end = min(self.archive.end(experiment.first), experiment.last + timedelta(hours=max(leads)))
            lead = self._first_guess_hours
            if experiment.single_step:
                lead = max(lead, self._step * experiment.lags)
            paths.update(self.archive.files(experiment.first - timedelta(hours=lead), end))
        for path in self._reanalysis_members():
            paths.add(self.archive.file(_stem(path)))
        return {_stem(path) for path in paths}


def _stem(path: str) -> str:
    return path.rpartition("/")[2].removesuffix(".nc")
