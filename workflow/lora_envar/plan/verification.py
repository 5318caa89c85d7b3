"""Which files are scored, compared and shown."""

from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from ..analysis import METHODS
from ..analysis.method import Method, VariationalMethod
from ..fields.timeline import name as time_name
from ..fields.timeline import parse
from ..files.provenance import group
from .analysis_spread import AnalysisSpreadPlan
from .archive import ArchivePlan
from .ensembles import EnsemblePlan, background_file, fitted_files
from .experiments import Experiment, Experiments
from .observations import ObservationPlan
from .references import own_references
from .single import SingleObservationPlan
from .study import StudyPlan


class VerificationPlan:
    """The section `verification`, and what is judged apart from it.

    Parameters
    ----------
    config : dict
        The configuration, checked.
    """

    def __init__(
        self,
        config: dict[str, Any],
        experiments: Experiments,
        archive: ArchivePlan,
        observations: ObservationPlan,
        ensembles: EnsemblePlan,
    ) -> None:
        self._verification = config["verification"]
        self._search = config.get("search")
        self._vaes = list(config["vaes"])
        self._step = config["cycling"]["step_hours"]
        self._keeps_backgrounds = config["cycling"]["keep_forecasts"]
        self._experiments = experiments
        self._archive = archive
        self._observations = observations
        self._ensembles = ensembles
        #: the key `single_observations`
        self.single = SingleObservationPlan(config, experiments)
        #: the key `analysis_spread`
        self.spread = AnalysisSpreadPlan(config, experiments, archive)
        #: the section `study`, if there is one
        self.study = StudyPlan(config, experiments) if "study" in config else None

    @property
    def lead_hours(self) -> list[int]:
        """Leads at which medium-range forecasts are scored."""
        return self._verification.get("forecast", {}).get("lead_hours", [])

    @cached_property
    def _starts(self) -> dict[str, list[str]]:
        return {experiment.name: self._find_starts(experiment) for experiment in self._experiments.values()}

    def forecast_starts(self, experiment: Experiment) -> list[str]:
        """Analysis times after the spin-up from which medium-range forecasts start."""
        return self._starts[experiment.name]

    def _find_starts(self, experiment: Experiment) -> list[str]:
        wanted = self._verification.get("forecast")
        if not wanted or experiment.candidate:
            return []
        scored = experiment.cycles[self._verification["spin_up_cycles"] :]
        lead = timedelta(hours=max(wanted["lead_hours"]))
        starts = scored[:: wanted["every_hours"] // self._step]
        return [start for start in starts if parse(start) + lead <= self._archive.end(parse(start))]

    def first_scored_cycles(self) -> dict[str, str]:
        """The first scored cycle of every experiment that is compared."""
        return {experiment.name: self.first_scored(experiment.name) for experiment in self._experiments.compared}

    def first_scored(self, name: str) -> str:
        """The first scored cycle of any experiment, a candidate of a search too."""
        return self._experiments[name].cycles[self._verification["spin_up_cycles"]]

    @cached_property
    def own_references(self) -> dict[str, str]:
        """What every experiment is first of all compared with, replicates under one name."""
        return own_references(self._experiments.families, self._verification["references"])

    def networks(self) -> dict[str, str | None]:
        """The network of every experiment that is compared, replicates under one name; None where it uses none."""
        return {
            group(experiment.name): group(experiment.entry["observations"]) if experiment.method.assimilates else None
            for experiment in self._experiments.compared
        }

    def first_judged_cycles(self) -> dict[str, str]:
        """The first cycle of every candidate of a search that is judged."""
        if not self._search:
            return {}
        first = self._search["spin_up_cycles"]
        return {experiment.name: experiment.cycles[first] for experiment in self._experiments.candidates}

    @cached_property
    def _scored_cycles(self) -> dict[str, dict[str, list[str]]]:
        """Cycles of each experiment by the archive's block; those of a block are scored together."""
        cycles: dict[str, dict[str, list[str]]] = {}
        for experiment in self._experiments.values():
            blocks = cycles.setdefault(experiment.name, {})
            for time in experiment.cycles:
                blocks.setdefault(Path(self._archive.file(time)).stem, []).append(time)
        return cycles

    def scores(self, experiments: list[Experiment]) -> list[str]:
        """The scores of all blocks of experiments."""
        return [
            f"results/{experiment.name}/scores/{block}.csv"
            for experiment in experiments
            for block in self._scored_cycles[experiment.name]
        ]

    @property
    def families(self) -> list[str]:
        """Names of the experiments that are compared, replicates under one."""
        return list(self._experiments.families)

    def scores_of_pair(self, first: str, second: str) -> list[str]:
        """The scores of two experiments, of all replicates of each."""
        both = [each for each in self._experiments.compared if group(each.name) in (first, second)]
        return self.scores(both)

    def scorecards(self, ending: str) -> list[str]:
        """The scorecard of every experiment against the one that it is first of all compared with."""
        pairs = self.own_references.items()
        return [f"results/scorecards/{first}_against_{second}.{ending}" for first, second in pairs]

    def spectra(self) -> list[str]:
        """The spectra of all blocks of the experiments that are compared."""
        return [path.replace("/scores/", "/spectra/") for path in self.scores(self._experiments.compared)]

    def scored_files(self, name: str, block: str) -> dict[str, list[str]]:
        """Analyses, backgrounds and forecasts of a block's cycles, and the archive that they are scored against."""
        experiment = self._experiments[name]
        scored = self._scored_cycles[experiment.name][block]
        starts = [time for time in scored if time in self.forecast_starts(experiment)]
        ends = [parse(start) + timedelta(hours=max(self.lead_hours)) for start in starts]
        folder = f"results/{experiment.name}"
        return {
            "analyses": [f"{folder}/{time}/analysis.nc" for time in scored],
            "backgrounds": [f"{folder}/{time}/background.nc" for time in scored],
            "forecasts": [f"{folder}/{time}/forecast.nc" for time in starts],
            "archive": self._archive.files(parse(scored[0]), max([parse(scored[-1]), *ends])),
        }

    @property
    def first_cycle(self) -> datetime:
        """The first of all analysis times: models are judged from there on, apart from what they were fitted to."""
        return min(experiment.first for experiment in self._experiments.compared)

    @property
    def first_cycle_name(self) -> str:
        """Its name in paths."""
        return time_name(self.first_cycle)

    def gate_files(self) -> list[str]:
        """Files of the states by which the forecast model is judged."""
        first = self.first_cycle - timedelta(hours=self._archive.frame_hours)
        return self._archive.files(first, self._archive.end(self.first_cycle))

    @property
    def judged(self) -> dict[str, tuple[str, dict[str, str]]]:
        """Static background errors, judged before they are cycled: by name, the method and its files.

        A method with a VAE is judged with each, and named with it where there are several.
        """
        return {label: (method.name, fitted_files(method, vae)) for label, (method, vae) in self._static.items()}

    @cached_property
    def _static(self) -> dict[str, tuple[type[Method], str | None]]:
        """Method and VAE of the background errors that are judged."""
        static: dict[str, tuple[type[Method], str | None]] = {}
        for name, method in METHODS.items():
            if not issubclass(method, VariationalMethod) or method.ensemble:
                continue
            for vae in self._vaes if method.vae_files else [None]:
                static[name if vae is None or len(self._vaes) == 1 else f"{name} ({vae})"] = (method, vae)
        return static

    def cycled_backgrounds(self) -> dict[str, dict[str, dict[str, str]]]:
        """Of each judged background error, scored backgrounds of the experiments that use it, where these are kept.

        By its name and the experiment's, that of all replicates: path -> analysis time, of two or more.
        """
        first = self.first_scored_cycles()
        cycled: dict[str, dict[str, dict[str, str]]] = {}
        for label, (method, vae) in self._static.items():
            cycled[label] = {}
            for experiment in self._experiments.compared if self._keeps_backgrounds else []:
                if experiment.method is not method or vae not in (None, experiment.vae):
                    continue
                scored = [time for time in experiment.cycles if time >= first[experiment.name]]
                if len(scored) > 1:
                    files = {f"results/{experiment.name}/{time}/background.nc": time for time in scored}
                    cycled[label].setdefault(group(experiment.name), {}).update(files)
        return cycled

    def cycled_files(self) -> dict[str, list[str]]:
        """All of these, and the archive that they are compared with."""
        backgrounds = {
            path: time
            for each in self.cycled_backgrounds().values()
            for files in each.values()
            for path, time in files.items()
        }
        return {
            "backgrounds": sorted(backgrounds),
            "archive": sorted({self._archive.file(time) for time in backgrounds.values()}),
        }

    def judged_files(self) -> list[str]:
        """What their background errors are made of."""
        return sorted({path for _, files in self.judged.values() for path in files.values()})

    @property
    def judged_vaes(self) -> dict[str, str]:
        """The VAEs, and the file of each."""
        return {vae: background_file("vae", vae) for vae in self._vaes}

    @property
    def shown(self) -> Experiment:
        """The experiment that the report shows: the first that assimilates with the richest method."""
        return max(
            self._experiments.compared,
            key=lambda experiment: (
                experiment.method.ranked,
                experiment.method.assimilates,
            ),
        )

    def shown_files(self) -> dict[str, str | list[str]]:
        """The last cycle of that experiment."""
        time = self.shown.cycles[-1]
        folder = f"results/{self.shown.name}/{time}"
        return {
            "archive": [self._archive.file(time)],
            "background": f"{folder}/background.nc",
            "analysis": f"{folder}/analysis.nc",
            "observations": f"{folder}/observations.nc",
        }

    @property
    def assimilating(self) -> list[Experiment]:
        """The experiments that use observations."""
        return [experiment for experiment in self._experiments.compared if experiment.method.assimilates]

    def filters(self) -> dict[str, str]:
        """The experiment whose members it takes, of every experiment that takes another's."""
        chosen = {experiment.name: experiment.ensemble_of for experiment in self.assimilating}
        return {name: other for name, other in chosen.items() if other}

    def amplitudes(self) -> dict[str, list[str]]:
        """What the experiments that calibrate themselves have found, a file a cycle."""
        return {
            experiment.name: [f"results/{experiment.name}/{time}/amplitudes.csv" for time in experiment.cycles]
            for experiment in self._experiments.compared
            if experiment.adaptive
        }

    @property
    def amplitude_figures(self) -> list[str]:
        """The figure of their course; none where no experiment calibrates itself."""
        return ["results/figures/amplitudes.svg"] if self.amplitudes() else []

    def denied(self) -> dict[str, list[str]]:
        """What experiments are denied, replicates under one name; of those that are denied some data."""
        return {
            name: experiment.without for name, experiment in self._experiments.families.items() if experiment.without
        }

    @property
    def denials(self) -> list[str]:
        """The table of what these data bring; none where no experiment is denied any."""
        return ["results/denials.csv"] if self.denied() else []

    @property
    def diagnosed(self) -> list[Experiment]:
        """Experiments with ensembles of their own forecasts, or of a filter's or their own cycles, that are judged."""
        if not self._verification.get("ensembles"):
            return []
        return [
            experiment
            for experiment in self._experiments.compared
            if (experiment.method.cycled_ensemble or (experiment.method.ensemble and experiment.member_source == "own"))
            and len(self._ensembles.whole(experiment)) > 1
        ]

    def of_diagnosed(self, file: str) -> list[str]:
        """A file of each of these experiments: what the diagnosis of its ensembles gives."""
        return [f"results/{experiment.name}/{file}" for experiment in self.diagnosed]

    @property
    def ensemble_files(self) -> list[str]:
        """Figure and tables of the scores of ensembles; none where none is judged."""
        names = ("figures/ensembles.svg", "ensemble_scores.csv", "rank_histograms.csv")
        return [f"results/{name}" for name in names] if self.diagnosed else []

    def members(self, name: str) -> dict[str, list[str]]:
        """Member files of every time with a whole ensemble."""
        experiment = self._experiments[name]
        whole = self._ensembles.whole(experiment)
        if experiment.has_cycled_members:
            name = experiment.ensemble_of or experiment.name
            return {time: [self._ensembles.cycled_file(name, time)] for time in whole}
        return {time: self._ensembles.own_files(experiment, time) for time in whole}

    def members_of_last_year(self, name: str) -> dict[str, list[str]]:
        """Those of last year's dates."""
        experiment = self._experiments[name]
        whole = self._ensembles.whole(experiment)
        return {time: self._ensembles.last_year_files(experiment, time) for time in whole}

    def diagnosed_files(self, name: str) -> dict[str, list[str]]:
        """What the diagnosis of an experiment's ensembles reads of its cycles."""
        experiment = self._experiments[name]
        members = [*self.members(name).values(), *self.members_of_last_year(name).values()]
        return {
            "backgrounds": [
                f"results/{experiment.name}/{time}/background.nc" for time in self._ensembles.whole(experiment)
            ],
            "members": sorted({path for paths in members for path in paths}),
            "archive": self._archive.files(experiment.first, experiment.last),
        }

    @property
    def reported(self) -> list[Experiment]:
        """Experiments whose observations are of others, some of which are withheld to judge them."""
        return [experiment for experiment in self._experiments.compared if self._observations.is_checked(experiment)]

    @property
    def fitted(self) -> list[Experiment]:
        """Experiments whose fit to observations is looked at: those that use some, and those beside some of others."""
        wanted = [*self.assimilating, *self.reported]
        return [experiment for experiment in self._experiments.compared if experiment in wanted]

    def of_fitted(self, file: str) -> list[str]:
        """A file of each of these experiments."""
        return [f"results/{experiment.name}/{file}" for experiment in self.fitted]

    @property
    def diagnostics(self) -> list[str]:
        """Tables of diagnostics, of the fit to observations, and of rejections; none where nothing is fitted."""
        names = ("diagnostics", "observation_fit", "rejections")
        return [f"results/{name}.csv" for name in names] if self.fitted else []

    @property
    def diagnostic_figures(self) -> list[str]:
        """Diagnostics over time, and departures with height; none where nothing is fitted."""
        names = ("diagnostics.svg", "departures.png")  # the smaller of both forms: the report holds them
        return [f"results/figures/{name}" for name in names] if self.fitted else []

    def about(self, config: dict[str, Any]) -> dict[str, Any]:
        """What the report says of the run, the fields of `verification.report.About`."""
        return {
            "config": config,
            "question": group(self.shown.name),
            "references": self.own_references,
            "networks": self.networks(),
            "first": self.first_scored_cycles(),
            "shown_time": f"{parse(self.shown.cycles[-1]):%Y-%m-%d %H}",
        }

    def diagnosed_analyses(self, name: str) -> dict[str, list[str]]:
        """What an experiment's analyses say about themselves: their tables, and their adapters."""
        experiment = self._experiments[name]
        adapted = experiment.method.finetuned_file == "adapters"
        folders = [f"results/{experiment.name}/{time}" for time in experiment.cycles]
        return {
            "observations": [f"{folder}/observations.nc" for folder in folders],
            "adapters": [f"{folder}/adapters.safetensors" for folder in folders] if adapted else [],
        }
