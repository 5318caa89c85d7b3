"""The workflow as text: lint, format, dry-runs, and what every rule declares."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter

import pytest
import yaml
from conftest import ROOT
from tiny import Run


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path)


RULES = sorted((ROOT / "workflow" / "rules").glob("*.smk"))
GPU_RULES = {
    "train_forecast_model",
    "nmc_forecasts",
    "pretrain_vae",
    "fit_residual",
    "first_guess",
    "ensemble_forecast",
    "model_errors",
    "cycled_ensemble_forecast",
    "finetune_lora",
    "assimilate",
    "forecast_error",
    "medium_range_forecast",
    "analysis_spread",
    "model_gates",
    "learned_errors",
    "single_observations",
    "train_emulator",
    "example_nmc",
    "train_vae",
}


def rules():
    """Name and text of every rule."""
    for path in RULES:
        parts = re.split(r"^ *rule (\w+):$", path.read_text(), flags=re.MULTILINE)
        yield from zip(parts[1::2], parts[2::2], strict=True)


@pytest.mark.parametrize(("name", "text"), list(rules()), ids=lambda value: value if value.isidentifier() else "")
def test_every_rule_declares_what_a_cluster_needs(name, text):
    if name in ("remake_example", "storage"):
        return
    for directive in ("output", "log", "benchmark", "threads", "resources", "conda", "script"):
        assert re.search(rf"^ +{directive}:", text, re.MULTILINE), f"{name} has no {directive}"
    assert re.match(r'\n +""".+"""\n', text), f"{name} has no docstring"
    assert re.search(r'log:\n +"logs/(.+)\.log",\n +timings="logs/\1\.timings\.tsv",', text), f"{name}: logs"
    for resource in ("mem_mb", "runtime"):
        assert re.search(rf"^ +{resource}=\d+", text, re.MULTILINE), f"{name} declares no {resource}"
    has_gpu = re.search(r"""^ +(\*\*A100|gpu_model="a100"),""", text, re.MULTILINE) is not None
    assert has_gpu == (name in GPU_RULES)
    script = re.search(r'script:\n +"\.\./scripts/(\w+\.py)"', text).group(1)
    assert (ROOT / "workflow" / "scripts" / script).is_file()


def test_the_slurm_profile_sends_every_rule_with_a_gpu_to_the_gpus():
    derived = {
        name
        for path in RULES
        for base, name in re.findall(r"^ *use rule (\w+) as (\w+) with:", path.read_text(), re.MULTILINE)
        if base in GPU_RULES
    }
    profile = yaml.safe_load((ROOT / "workflow" / "profiles" / "slurm" / "config.yaml").read_text())
    wanted = {rule for rule, resources in profile["set-resources"].items() if resources["slurm_partition"] == "gpu"}
    assert wanted == GPU_RULES | derived


def imported_with(*modules, then="") -> set[str]:
    """Names of the modules that are imported with some, and by a statement after them."""
    code = f"import sys, {', '.join(modules)}\n{then}\nprint(*sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "workflow")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_what_snakemake_imports_starts_quickly():
    """Of the plan and of all that registries hold."""
    registries = "from lora_envar.analysis import METHODS; from lora_envar.archive import SOURCES; "
    registries += "from lora_envar.forecast import MODELS; from lora_envar.observations import NETWORKS; "
    used = "print(*METHODS, *SOURCES, *MODELS, *NETWORKS)"
    text = (ROOT / "Snakefile").read_text()
    modules = sorted(set(re.findall(r"^from (lora_envar[.\w]*) import", text, re.MULTILINE)))
    assert "lora_envar.plan.prepare" in modules
    slow = {"torch", "scores", "xarray", "scipy", "netCDF4"}
    assert not slow & imported_with(*modules, then=registries + used)
    # Snakemake itself, which is patched, imports pandas
    slow |= {"pandas", "snakemake"}
    assert not slow & imported_with("lora_envar.plan.prepare", then=registries + used)


def test_what_every_job_imports_before_its_warm_start_is_little():
    assert not {"snakemake", "numpy", "asyncio", "subprocess", "hashlib"} & imported_with(
        "lora_envar.runtime.warm_start"
    )


def test_snakefmt_and_lint_are_clean(run):
    done = subprocess.run(
        [shutil.which("snakefmt", path=str(ROOT)) or "snakefmt", "--check", "Snakefile", "workflow"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lint = run.snakemake("--lint", "--configfile", ROOT / "config" / "config.yaml")
    assert lint.returncode == 0, lint.stderr


def counts(output):
    table = output.split("Job stats:")[1].split("total")[0]
    return Counter({name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)})


def test_dry_run_of_the_example_has_all_cycles_of_every_experiment(run):
    done = run.snakemake("-n", "--configfile", ROOT / "config" / "config.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    jobs = counts(done.stdout + done.stderr)
    assert (jobs["assimilate"], jobs["assimilate_adaptive"]) == (24, 6 * 24)
    assert jobs["finetune_lora"] == 2 * 24


def test_dry_run_of_the_twin_makes_the_archive_of_the_model_s_file_too(run):
    done = run.snakemake("-n", "--configfile", ROOT / "config" / "config.yaml", ROOT / "config" / "twin.yaml")
    output = done.stdout + done.stderr
    assert done.returncode == 0, output[-3000:]
    jobs = counts(output)
    assert (jobs["download_era5"], jobs["assimilate_adaptive"]) == (2, 6 * 24)
    block = re.search(r"^ *rule download_era5:.*?(?=^\[|\Z)", output, re.MULTILINE | re.DOTALL).group(0)
    assert "input: resources/example/archive.nc, resources/example/emulator.safetensors" in block


def test_the_example_s_world_can_be_remade(run):
    done = run.snakemake("-n", "remake_example", "--configfile", ROOT / "config" / "config.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    jobs = counts(done.stdout + done.stderr)
    assert (jobs["nature_run"], jobs["train_emulator"], jobs["train_vae"]) == (9, 2, 2)


@pytest.fixture
def era5(run):
    """The run with a configuration `era5.yaml` at the paper's scale, its models in place."""
    weights = run.folder / "resources_era5"
    weights.mkdir()
    for name in ("fengwu_v2.onnx", "data_mean.npy", "data_std.npy"):
        (weights / name).touch()
    text = (ROOT / "config" / "era5.yaml").read_text().replace("resources/era5/", "resources_era5/")
    (run.folder / "era5.yaml").write_text(text)
    return run


def test_the_paper_s_month_with_real_reports_says_what_it_downloads_and_keeps(era5):
    overlay = ROOT / "config" / "gdas.yaml"
    done = era5.snakemake("--cores", 1, "--configfile", "era5.yaml", overlay, "--", "storage")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert "files of reports 124 7.44 GB 7.44 GB 0 B".split() in lines, "one file of 60 MB a cycle"
    assert "states of the training archive 54056 489 GB 489 GB 489 GB".split() in lines
    assert "lora_envar: backgrounds 124 0 B 35.5 GB 0 B".split() in lines
    done = era5.snakemake("-n", "--configfile", "era5.yaml", overlay)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    jobs = counts(done.stdout + done.stderr)
    assert (jobs["download_gdas"], jobs["decode_prepbufr"], jobs["select_observations"]) == (124, 124, 31)
    assert (jobs["nmc_forecasts"], jobs["diagnose_analyses"]) == (451, 7)


def test_dry_run_of_era5_on_the_slurm_profile_shows_the_a100s(era5):
    run = era5
    path = run.folder / "era5.yaml"
    config = yaml.safe_load(path.read_text())
    training = config["training"]
    for section in (training["archive"], config["nmc"]):
        section["start"] = "2015-06-01T00"  # for time's sake
    train = training["forecast_model"]["train"]
    train |= {"start": "2015-06-01T00", "end": "2015-07-01T00"}
    train["validation"] = {"start": "2015-07-02T00", "end": "2015-07-03T00"}
    path.write_text(yaml.safe_dump(config))
    done = run.snakemake("-n", "--configfile", "era5.yaml", "--profile", ROOT / "workflow" / "profiles" / "slurm")
    output = done.stdout + done.stderr
    assert done.returncode == 0, output[-3000:]
    jobs = counts(output)
    assert jobs["reanalysis_forecast"] == 124 + 11 + 124 + 7, "all starts of 12 lags, and of 8 a year before"
    assert (jobs["assimilate"], jobs["finetune_lora"]) == (5 * 124 + 2 * 124, 2 * 124)
    block = re.search(r"^ *rule assimilate:.*?(?=^\[|\Z)", output, re.MULTILINE | re.DOTALL).group(0)
    for shown in ("gpu=1", "gpu_model=a100", "slurm_partition=gpu", "runtime=15"):
        assert shown in block


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("source: example", "sorce: example", "sorce"),
        ("columns: 700", "columns: 7000", "observations.quasi_uniform_700.columns"),
    ],
)
def test_a_bad_configuration_ends_in_one_message(run, old, new, named):
    (run.folder / "bad.yaml").write_text((ROOT / "config" / "config.yaml").read_text().replace(old, new, 1))
    done = run.snakemake("-n", "--configfile", "bad.yaml")
    assert done.returncode != 0
    assert named in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_scripts_are_thin():
    for path in (ROOT / "workflow" / "scripts").glob("*.py"):
        assert len(path.read_text().splitlines()) <= 50, f"{path.name}: move what it computes into the package"
