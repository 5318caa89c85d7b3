"""Results know the configuration that they belong to: what a change makes stale, and nothing else, is made again."""

import json
import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml
from conftest import ROOT

#: what is made of scores
COMPARED = {"compare", "scorecard", "cycling_gates", "write_report", "write_results"}
SCORES = {"score", "collect_scores", "collect_spectra"} | COMPARED
FITS = {"diagnose_analyses", "collect_diagnostics"}
SINGLE = {"single_observations", "draw_single_observations"}
#: of 3D-Var and of the experiment that calibrates itself
SPREAD = {"analysis_spread", "compare_analysis_spread"}
#: an analysis of a method without an ensemble, and what comes of it
PLAIN = (
    {"assimilate", "background_forecast", "medium_range_forecast", "learned_errors"} | SCORES | FITS | SINGLE | SPREAD
)
#: one of a method with an ensemble
JUDGED = {"ensemble_diagnostics", "collect_ensemble_scores"}
ENSEMBLE = {"assimilate", "ensemble_forecast", "medium_range_forecast"} | JUDGED | SCORES | FITS | SINGLE
#: one of a method that calibrates itself, and one of a filter with an ensemble of its own
ADAPTIVE = {"assimilate_adaptive", "draw_amplitudes"}
FILTER = {"assimilate_ensemble", "cycled_ensemble_forecast"}
CYCLES = PLAIN | ENSEMBLE | ADAPTIVE | FILTER | {"finetune_lora", "finetune_all", "draw_maps"}
VAE = {"pretrain_vae", "fit_residual", "draw_learning_curves", "model_gates"}
#: what comes of a VAE: all but the filter
LEARNED = VAE | CYCLES - FILTER
TRAINING_SET = {"nmc_forecasts", "nmc_training_set", "fit_gaussian", "fit_genbe", "first_ensemble"} | VAE | CYCLES
#: one of an experiment that has its network to itself
REPORTED = PLAIN - SPREAD - {"scorecard"}
REPORTS = {"simulate_reports", "decode_prepbufr", "select_observations"}
FORECASTS = {"first_guess", "reanalysis_forecast", "model_errors"} | TRAINING_SET
ARCHIVE = {"download_era5", "prepare_archive", "climatology", "simulate_observations"} | REPORTS | FORECASTS

#: changed key -> its new value, and the rules that must run again
TABLE = {
    "archive.derive": (["msl"], ARCHIVE),
    # of the cycles only those of the 27th, of the longest experiments, lie in the block that becomes longer
    "archive.end": (
        "2009-03-13T00",
        {"download_era5", "prepare_archive", "simulate_observations", "model_gates"}
        | {"finetune_lora", "draw_maps"}
        | ENSEMBLE - SINGLE,
    ),
    "nmc.every_hours": (24, TRAINING_SET | {"climatology", "simulate_observations", "model_errors"}),
    "nmc.tau_hours": (12, TRAINING_SET),
    "nmc.held_out": (0.4, LEARNED),
    "vaes.spectral.sigma": (0.4, LEARNED),
    "vaes.spectral.network.core_depth": (2, LEARNED),
    "vaes.spectral.residual_draws": (24, LEARNED - {"pretrain_vae", "draw_learning_curves"}),
    "error_grid.truncation": (9, TRAINING_SET | {"reanalysis_forecast", "model_errors"}),
    "observations.sparse.columns": (101, CYCLES | {"simulate_observations"}),
    "observations.reports.gross_error_share": (0.02, REPORTED | REPORTS),
    "observations.reports.reported_errors": (False, REPORTED | REPORTS - {"simulate_reports"}),
    "observations.reports.quality.withheld": (0.2, REPORTED | {"select_observations"}),
    "observations.reports.background_check": (4.0, REPORTED),
    "cycling.first_guess_hours": (24, CYCLES | {"first_guess", "first_ensemble"}),
    "cycling.keep_forecasts": (False, {"learned_errors", "write_report"}),
    "cycling.block_days": (2, {"write_report"}),
    "warm_start": (False, {"write_report"}),
    "minimiser.iterations": (9, CYCLES),
    "methods.3dvar.background_weight": (9.0, PLAIN),
    "methods.vae_var.residual_amplitude": (1.0, PLAIN | ADAPTIVE),
    "methods.hybrid.alpha": (0.5, ENSEMBLE - JUDGED),  # too few cycles to judge its members
    "methods.latent_lora.background_weight": (9.0, ENSEMBLE | {"finetune_lora", "draw_maps"}),
    "methods.full_finetuning.epochs": (6, ENSEMBLE | {"finetune_all"}),
    "experiments.latent_lora.seed": (5, ENSEMBLE | {"finetune_lora", "draw_maps"}),
    "experiments.vae_var.seed": (5, {"write_report"}),
    "experiments.3dvar.period": (["2009-02-26T00", "2009-02-26T12"], PLAIN - SINGLE),
    "verification.references": (["3dvar"], {"compare", "write_report", "write_results"}),
    "verification.single_observations": (["z500@45N,0E+100"], SINGLE | {"write_report"}),
    "verification.title": ("Another", {"write_report", "write_results"}),
    "verification.forecast.lead_hours": ([6], SCORES | {"medium_range_forecast"}),
    "verification.bootstrap.seed": (
        2,
        {"compare", "scorecard", "model_gates", "learned_errors", "write_report", "write_results"},
    ),
}


def changed(config, key, value):
    config = json.loads(json.dumps(config))  # YAML shares what is written once
    *parents, last = key.split(".")
    section = config
    for parent in parents:
        section = section[parent]
    section[last] = value
    return config


def planned(run, config, name):
    """The rules that a dry run of a configuration would run."""
    path = run.folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(config))
    done = run.snakemake("-n", "--nolock", "--quiet", "rules", "--configfile", path)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output[-2000:]
    if "Nothing to be done" in output:
        return set()
    table = output.split("Job stats:")[1].split("total")[0]
    return set(re.findall(r"^(\w+) +\d+$", table, re.MULTILINE)) - {"all"}


@pytest.fixture(scope="module")
def config(finished):
    return yaml.safe_load((finished.folder / "tiny.yaml").read_text())


@pytest.fixture(scope="module")
def plans(finished, config):
    """Rules that are planned, by changed key."""

    def plan(key):
        return planned(finished, changed(config, key, TABLE[key][0]), f"changed_{key}")

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(TABLE, pool.map(plan, TABLE), strict=True))


@pytest.mark.parametrize("key", list(TABLE))
def test_what_a_changed_key_makes_stale_is_made_again_and_nothing_else(plans, key):
    assert plans[key] == TABLE[key][1]


def test_nothing_is_made_again_where_nothing_has_changed(finished, config):
    assert planned(finished, config, "same") == set()


def test_the_content_of_a_brought_file_counts_and_not_its_time(finished, config):
    weights = finished.folder / "model.safetensors"
    kept = weights.with_suffix(".kept")
    shutil.copy2(weights, kept)
    status = weights.stat()
    try:
        os.utime(weights)
        assert planned(finished, config, "touched") == set()
        data = bytearray(weights.read_bytes())
        data[-1] ^= 1
        weights.write_bytes(data)
        os.utime(weights, ns=(status.st_atime_ns, status.st_mtime_ns - 10**12))
        assert planned(finished, config, "other_weights") == FORECASTS
    finally:
        kept.replace(weights)
    assert planned(finished, config, "weights_again") == set()


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("archive.path", "resources/example/archive_hourly.nc", "archive.path 'resources/example/archive.nc' there"),
        ("grid.truncation", 9, "grid.truncation 10 there, 9 here"),
    ],
)
def test_a_folder_of_another_experiment_is_refused_by_name(finished, config, key, value, said):
    path = finished.folder / "other.yaml"
    path.write_text(yaml.safe_dump(changed(config, key, value)))
    done = finished.snakemake("-n", "--configfile", path)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: results/ in ")
    assert said in last
    assert "--directory" in last
    assert "Traceback" not in done.stderr


def test_era5_after_the_example_is_refused(finished):
    done = finished.snakemake("-n", "--configfile", ROOT / "config" / "era5.yaml")
    assert done.returncode == 1
    assert "archive.source 'example' there, 'arco' here" in done.stderr.splitlines()[-1]


def test_without_snakemake_s_memory_other_settings_are_refused(finished, config):
    memory = finished.folder / ".snakemake"
    away = finished.folder / "memory"
    memory.rename(away)
    try:
        path = finished.folder / "other.yaml"
        path.write_text(yaml.safe_dump(changed(config, "vaes.spectral.sigma", 0.4)))
        done = finished.snakemake("-n", "--nolock", "--configfile", path)
        assert done.returncode == 1
        assert "vaes.spectral.sigma 0.3 there, 0.4 here" in done.stderr.splitlines()[-1]
        shutil.rmtree(memory, ignore_errors=True)
        assert planned(finished, config, "same") == set(), "what is there is of this configuration"
        shutil.rmtree(memory, ignore_errors=True)
        assert planned(finished, changed(config, "cycling.block_days", 2), "other_blocks") == set()
    finally:
        shutil.rmtree(memory, ignore_errors=True)
        away.rename(memory)
