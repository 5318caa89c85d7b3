"""Running Snakemake on the project as a user would, in a folder of its own; and a world small enough for a test."""

import os
import shutil
import subprocess
import sys

import pandas as pd
import torch
import yaml
from conftest import ROOT, small_network
from lora_envar.analysis import METHODS
from lora_envar.fields.grid import Grid
from lora_envar.fields.seeds import generator
from lora_envar.forecast.emulator import Emulator


class Run:
    """A working folder with the project's resources."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "resources").symlink_to(ROOT / "resources")

    def snakemake(self, *arguments, timeout=1500):
        """Run it to its end."""
        options = self.process(arguments) | {"timeout": timeout}
        return subprocess.run(**options, capture_output=True, text=True)

    def start(self, *arguments, log="run.log", **environment):
        """Start it in a session of its own, with its output after what is in a log."""
        options = self.process(arguments, **environment)
        with open(self.folder / log, "a") as output:
            return subprocess.Popen(**options, stdout=output, stderr=output, start_new_session=True)

    def write(self, config):
        """Put a configuration into `tiny.yaml`."""
        (self.folder / "tiny.yaml").write_text(yaml.safe_dump(config))

    def make(self, config, *targets):
        """Run a configuration to its end, or to some of its files."""
        self.write(config)
        done = self.snakemake(*targets, "--cores", 2, "--configfile", "tiny.yaml")
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]

    def copied(self, folder):
        """A copy of the run, in which files may be made anew."""
        copy = Run(folder)
        shutil.copytree(self.folder, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("resources"))
        return copy

    def process(self, arguments, **environment):
        """Arguments of `subprocess` that start it."""
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), *map(str, arguments)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "workflow"), **environment}
        return {"args": command, "cwd": self.folder, "env": environment}


#: single observations whose increments are shown
SINGLE = ("z500@45N,30W+100", "t2m@30S,120E")
#: LoRA-EnVar as published, for a few cycles
PUBLISHED = {
    "background_weight": 2.0,
    "residual_amplitude": 0.0,
    "alpha": 2.0,
    "targets": "query",
    "member_source": "own",
    "normalisation": "member",
    "ensemble_amplitude": 1.0,
    "carry_over": True,
    "minimum_members": 2,
    "epochs": 5,
    "batch": 4,
    "learning_rate": 1e-2,
}


def tiny_configuration(folder) -> dict:
    """A few cycles of all methods on 16 x 32 points at T10, with a forecast model made here."""
    torch.manual_seed(1)
    model = Emulator(Grid("gaussian", 16, 32), 10, small_network((69,), (69,)))
    with torch.no_grad():  # a little more than persistence: what it adds differs from state to state
        model.mean.copy_(torch.randn(69, 1, 1, generator=generator(1)))
        model.deviation.fill_(1e4)
        model.change_deviation.copy_(torch.logspace(-6, 0, 69).view(-1, 1, 1))
    model.save(folder / "model.safetensors")
    model.step_hours = 3
    model.save(folder / "window_model.safetensors")
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    small = {"kind": "gaussian", "latitudes": 16, "longitudes": 32, "truncation": 10}
    config |= {"grid": small, "error_grid": small}
    config["archive"] |= {"end": "2009-03-12T00", "block_days": 17}
    config["forecast_model"]["weights"] = "model.safetensors"
    config["nmc"] |= {"end": "2009-02-20T00", "every_hours": 12, "block_days": 5}
    vae = config["vaes"]["spectral"]
    vae |= {"initial_weights": None, "residual_draws": 16}
    vae["network"] |= {"latent_channels": [20], "widths": [16], "heads": [2], "core_width": 16}
    vae["network"] |= {"core_heads": 2, "core_depth": 1, "window": [4, 4]}
    vae["training"] |= {"epochs": 10, "learning_rate": 1e-3}
    published = {"latents": "grid", "variables": "state", "standard_deviation": "channel"}
    config["vaes"] = {"spectral": vae, "grid": vae | published}
    config["methods"] |= {"lora_envar": PUBLISHED, "scaled_static": config["methods"]["latent_lora"]}
    config["observations"] = {"sparse": dict(config["observations"]["quasi_uniform_700"], columns=100)}
    config["minimiser"]["iterations"] = 8
    lora, short = config["experiments"]["latent_lora"], {"observations": "sparse", "seed": 1}
    lora["ensemble_size"] = 2
    config["experiments"] |= {
        "other_days": {**lora, "settings": {"member_source": "other_days"}, "donor": "latent_lora"},
        "nmc_members": {**lora, "settings": {"member_source": "nmc"}},
        "lora_envar": {**lora, "method": "lora_envar", "vae": "grid"},
        "scaled_static": {**short, "method": "scaled_static", "vae": "spectral", "ensemble_size": 2},
        "full_finetuning": {**short, "method": "full_finetuning", "vae": "spectral", "ensemble_size": 2},
        "3dvar_spectral": {**short, "method": "3dvar_spectral"},
        "hybrid": {**short, "method": "hybrid", "ensemble_size": 2},
        "adaptive": {**short, "method": "vae_var", "vae": "spectral", "settings": {"background_weight": "adaptive"}},
        "single_step": {**lora, "background": "single_step"},
    }
    config["methods"]["letkf"] = {"horizontal_localisation": 2000, "vertical_localisation": 1.0, "relaxation": 0.5}
    config["methods"]["letkf"] |= {"additive_error": 1.0, "inflation": 1.0}
    config["experiments"]["letkf"] = {**short, "method": "letkf", "ensemble_size": 6}
    hybrid = {name: value for name, value in config["methods"]["hybrid"].items() if name != "ensemble_covariance"}
    config["methods"]["hybrid_vae"] = hybrid | {"residual_amplitude": 2.0}
    config["experiments"]["hybrid_of_filter"] = {
        **short,
        "method": "hybrid_vae",
        "vae": "spectral",
        "ensemble_of": "letkf",
    }
    # one set of values for all, so that methods differ by what they are
    del config["experiments"]["vae_var_grid"]
    config["verification"]["references"].remove("vae_var_grid")
    for settings in config["methods"].values():
        if settings.get("background_weight") == "adaptive":
            settings["background_weight"] = 2.0
    for method in ("vae_var", "latent_lora", "scaled_static", "full_finetuning"):
        config["methods"][method] |= {"background_weight": 2.0, "residual_amplitude": 2.0}
    for method in ("latent_lora", "scaled_static", "full_finetuning", "hybrid", "hybrid_vae"):
        config["methods"][method]["minimum_members"] = 2
    last_cycle = {"latent_lora": "2009-02-27T06", "other_days": "2009-02-27T06", "full_finetuning": "2009-02-26T18"}
    last_cycle["single_step"] = "2009-02-26T06"
    last_cycle |= dict.fromkeys(("letkf", "hybrid_of_filter"), "2009-02-26T18")
    for name, entry in config["experiments"].items():
        last = last_cycle.get(name, "2009-02-26T12" if METHODS[entry["method"]].ensemble else "2009-02-26T06")
        entry |= {"observations": "sparse", "period": ["2009-02-26T00", last]}
    places = pd.read_csv(ROOT / "resources" / "example" / "stations.csv")
    places.iloc[::25].to_csv(folder / "stations.csv", index=False)
    network = yaml.safe_load((ROOT / "config" / "real_network.yaml").read_text())["observations"]["real_network"]
    config["observations"]["reports"] = {**network, "stations": "stations.csv"}
    config["experiments"]["reports"] = {**config["experiments"]["3dvar"], "observations": "reports"}
    config["search"] |= {"period": ["2009-03-01T00", "2009-03-01T06"], "spin_up_cycles": 0, "observations": "sparse"}
    config["search"]["candidates"] = {"3dvar": {"background_weight": [100.0, 1.0]}}
    window = {"slots": 2, "slot_hours": 3, "checkpoint": True}
    window["model"] = {"name": "emulator", "weights": "window_model.safetensors"}
    window["measured_in"] = {"start": "2009-04-24T00", "end": "2009-04-26T00", "every_hours": 12}
    config["windows"] = {"six_hours": window}
    config["verification"] |= {"spin_up_cycles": 0, "forecast": {"every_hours": 6, "lead_hours": [12]}}
    config["verification"]["ensembles"] = True
    config["verification"]["single_observations"] = list(SINGLE)
    spread = {"experiments": ["3dvar", "adaptive"], "samples": 3, "every_hours": 6}
    config["verification"]["analysis_spread"] = spread
    del config["example"]
    return config


def two_methods(folder) -> dict:
    """Of `tiny_configuration`, four cycles of 3D-Var and of LoRA-EnVar."""
    config = tiny_configuration(folder)
    config["experiments"] = {name: config["experiments"][name] for name in ("3dvar", "latent_lora")}
    for experiment in config["experiments"].values():
        experiment["period"] = ["2009-02-26T00", "2009-02-26T18"]
    del config["observations"]["reports"], config["search"]
    config["verification"] |= {"ensembles": False, "references": ["3dvar"], "single_observations": []}
    del config["verification"]["analysis_spread"]
    config["verification"]["forecast"] = {"every_hours": 12, "lead_hours": [12]}
    return config
