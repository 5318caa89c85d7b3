"""A shipped configuration, and made data of its sizes in the files that its plan names."""

import os
from collections.abc import Callable
from contextlib import chdir
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lora_envar.analysis.assimilate import Case
from lora_envar.analysis.method import Inputs
from lora_envar.analysis.minimisation import MinimiserSettings
from lora_envar.background.finetuning import Finetuned
from lora_envar.background.genbe import fit_genbe
from lora_envar.background.lora import add_adapters
from lora_envar.background.pretraining import new_vae, save_residual
from lora_envar.background.vae import VAE
from lora_envar.example_world.networks.simulated import error_fractions
from lora_envar.example_world.twin import STATE_VARIABLES, SimulatedNetwork, draw_columns, simulate
from lora_envar.fields.grid import Grid
from lora_envar.fields.harmonics import SphericalHarmonics, finest_truncation
from lora_envar.fields.seeds import generator
from lora_envar.fields.state import CHANNELS
from lora_envar.fields.timeline import parse
from lora_envar.files.state_file import write_states
from lora_envar.plan.experiments import Experiment
from lora_envar.plan.prepare import prepare
from lora_envar.settings import settings_from
from snakemake.common.configfile import load_configfile
from snakemake.utils import update_config

ROOT = Path(__file__).parents[3]
#: files of the configuration of every scale, each over those before
CONFIGURATIONS = {
    "example": ("config.yaml",),
    "1p5": ("era5_5p6.yaml", "era5_1p5.yaml"),
    "paper": ("era5.yaml",),
}
#: mean and standard deviation of made states by variable; others have 0 and 5
LOOK = {"t": (260.0, 5.0), "t2m": (288.0, 5.0), "msl": (1.013e5, 500.0), "z": (5e4, 500.0), "q": (5e-3, 1e-3)}
#: errors over the standard deviation of states
ERROR = 0.1
#: largest wavenumber of made states
SMOOTHEST = 21
#: made samples of forecast errors
SAMPLES = 4


@dataclass(frozen=True)
class Shortened:
    """What is smaller than the configuration has it; None is as there.

    Attributes
    ----------
    members, epochs, batch : int or None
        Of a finetuning.
    iterations : int or None
        Of a whole analysis.
    """

    members: int | None = None
    epochs: int | None = None
    batch: int | None = None
    iterations: int | None = None

    def said(self, *names: str) -> str:
        """Those of some names that are smaller, in words."""
        return ", ".join(f"{getattr(self, name)} {name}" for name in names if getattr(self, name) is not None)


class World:
    """A configuration and its plan; files are made when they are asked for.

    Parameters
    ----------
    scale : str
        A key of `CONFIGURATIONS`.
    folder : path
        Empty; everything is made in it.
    device : str
    shortened : Shortened
    """

    def __init__(self, scale: str, folder: Path, device: str = "cpu", shortened: Shortened | None = None) -> None:
        self.scale = scale
        self.folder = folder
        self.device = device
        self.shortened = shortened or Shortened()
        self.config: dict[str, Any] = {}
        for name in CONFIGURATIONS[scale]:
            update_config(self.config, load_configfile(str(ROOT / "config" / name)))
        if not (folder / "resources").exists():
            os.symlink(ROOT / "resources", folder / "resources")
        with chdir(folder):
            self.plan = prepare(self.config)
        self.grid = Grid.from_settings(self.config["grid"])
        self.error_grid = Grid.from_settings(self.config["error_grid"])
        self.error_truncation: int | None = self.config["error_grid"].get("truncation")

    def experiments(self, method: str) -> list[Experiment]:
        """The first experiment of a method with every VAE."""
        found: dict[str | None, Experiment] = {}
        for experiment in self.plan.experiments.compared:
            if experiment.method.name == method:
                found.setdefault(experiment.vae, experiment)
        return list(found.values())

    def time(self, experiment: Experiment) -> str:
        """An analysis time with a whole ensemble, at which no analysis measures what it does once a day."""
        return next(time for time in experiment.cycles[experiment.lags :] if not time.endswith("T00"))

    def path(self, name: str) -> Path:
        """Of a file that the plan or the configuration names."""
        return self.folder / name

    @cached_property
    def state(self) -> np.ndarray:
        """A state on its grid, (69, lat, lon)."""
        return smooth_fields(self.grid, 1, SMOOTHEST, "state")[0] + MEAN

    def errors(self) -> torch.Tensor:
        """Samples of forecast errors of all scales, (samples, 69, lat, lon), on the error grid."""
        truncation = self.error_truncation or finest_truncation(self.error_grid)
        return torch.from_numpy(ERROR * smooth_fields(self.error_grid, SAMPLES, truncation, "errors"))

    def members(self, count: int) -> torch.Tensor:
        """Members on the error grid, (count, 69, lat, lon)."""
        truncation = self.error_truncation or finest_truncation(self.error_grid)
        return torch.from_numpy(ERROR * smooth_fields(self.error_grid, count, truncation, "members") + MEAN)

    def vae_file(self, name: str) -> Path:
        """The file of a VAE with random weights."""
        path = self.path(f"results/background/{name}/vae.safetensors")
        if not path.exists():
            errors = self.errors()
            entry = self.config["vaes"][name]
            vae = new_vae(entry, self.error_grid, self.error_truncation, lambda i: errors[i], list(range(SAMPLES)))
            vae.save(path)
        return path

    def vae(self, name: str) -> VAE:
        """The VAE of this file, on the device."""
        return VAE.load(self.vae_file(name), self.device)

    def inputs(self, experiment: Experiment) -> Inputs:
        """What an analysis of an experiment is made with; the amplitudes are those of a first cycle."""
        time = self.time(experiment)
        files = self.plan.analysis_inputs(experiment.name, time)
        makers: dict[str, Callable[[], Any]] = {
            "genbe": lambda: self._make_genbe(files["genbe"]),
            "vae": lambda: self.vae_file(str(experiment.vae)),
            "residual": lambda: self._make_residual(files["residual"], str(experiment.vae)),
            "finetuned": lambda: self._make_finetuned(files["finetuned"], experiment),
            "members": lambda: self._make_members(files["members"], time),
            "last_year": lambda: self._make_members(files["last_year"], time),
        }
        made: dict[str, Any] = {}
        for name in makers.keys() & files.keys():
            makers[name]()
            given = files[name]
            made[name] = str(self.path(given)) if isinstance(given, str) else [str(self.path(one)) for one in given]
        return Inputs(made, parse(time), self.error_grid, self.device, self.config["grid"]["truncation"])

    def case(self, experiment: Experiment) -> Case:
        """The state as a background, and observations of another."""
        network = self.config["observations"][experiment.entry["observations"]]
        truth = self.state + ERROR * smooth_fields(self.grid, 1, SMOOTHEST, "truth")[0]
        simulated = SimulatedNetwork(
            draw_columns(self.grid, network["columns"], network["arrangement"], network["seed"]),
            error_fractions(network) * DEVIATION.ravel(),
            network["noise"],
            network["seed"],
            tuple(network.get("types") or STATE_VARIABLES),
            network.get("relative_errors") or {},
        )
        observations = simulate(lambda _: truth, [parse(self.time(experiment))], self.grid, simulated)
        grids = self.grid, self.error_grid
        minimiser = MinimiserSettings(**self.config["minimiser"])
        if self.shortened.iterations is not None:
            minimiser = replace(minimiser, iterations=self.shortened.iterations)
        return Case(self.state, *grids, observations, minimiser, device=self.device, progress=_quiet)

    def finetuning(self, experiment: Experiment) -> tuple[Any, int]:
        """Settings and number of members of an experiment's finetuning, shortened."""
        settings = settings_from(experiment.method.FinetuneSettings, experiment.finetune_settings)
        count = self.shortened.members or experiment.ensemble_size
        changed: dict[str, Any] = {"minimum_members": min(settings.minimum_members, count)}
        for name in ("epochs", "batch"):
            wanted = getattr(self.shortened, name)
            if wanted is not None and hasattr(settings, name):
                changed[name] = wanted
        return replace(settings, **changed), count

    def _make_genbe(self, name: str) -> None:
        if not self.path(name).exists():
            fit_genbe([self.errors()], self.error_grid, self.error_truncation).save(self.path(name))

    def _make_residual(self, name: str, vae_name: str) -> None:
        if self.path(name).exists():
            return
        vae = VAE.load(self.vae_file(vae_name))
        waves = 1 + (vae.truncation or finest_truncation(self.error_grid))
        covariance = 0.1 * torch.eye(len(CHANNELS), dtype=torch.float64).expand(waves, -1, -1) / waves**2
        save_residual(self.path(name), covariance)

    def _make_finetuned(self, name: str, experiment: Experiment) -> None:
        if self.path(name).exists():
            return
        vae = VAE.load(self.vae_file(str(experiment.vae)))
        settings, count = self.finetuning(experiment)
        added = experiment.method.adapters(settings, experiment.entry.get("rank"))
        draws = generator(1, "adapters")
        for parameter in add_adapters(vae, added, draws).values():
            with torch.no_grad():
                parameter.copy_(0.01 * torch.randn(parameter.shape, generator=draws))
        Finetuned(vae, added, count, True, 0.0).save(self.path(name))

    def _make_members(self, names: list[str], time: str) -> None:
        if all(self.path(name).exists() for name in names):
            return
        for name, member in zip(names, self.members(len(names)).numpy(), strict=True):
            write_states(self.path(name), member[None], [parse(time)], self.error_grid)


def _quiet(_: str) -> None:
    return None


def _per_channel(place: int) -> np.ndarray:
    return np.array([LOOK.get(channel.variable, (0.0, 5.0))[place] for channel in CHANNELS], "f4")[:, None, None]


#: of made states, (69, 1, 1)
MEAN = _per_channel(0)
DEVIATION = _per_channel(1)


def smooth_fields(grid: Grid, count: int, truncation: int, purpose: str) -> np.ndarray:
    """Random fields of all channels, (count, 69, lat, lon), float32, with the standard deviations of states."""
    draws = generator(1, "scales", purpose)
    harmonics = SphericalHarmonics(grid, truncation)
    degree = harmonics.degree.float()
    power = (1 + degree / 6) ** -3
    amplitude = (power / power.sum()).sqrt()
    fields = np.empty((count, len(CHANNELS), *grid.shape), dtype=np.float32)
    for sample in fields:
        coefficients = amplitude * torch.randn(len(CHANNELS), harmonics.size, generator=draws)
        sample[:] = harmonics.synthesise(coefficients).numpy()
    fields *= DEVIATION
    return fields
