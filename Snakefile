import sys
from pathlib import Path

from snakemake.utils import min_version

min_version("9.20")

# where Jupyter is installed, jsonschema builds grammars for formats that the schema here does not have: 5 s a start
sys.modules.setdefault("rfc3987_syntax", None)

# a month of cycles is a chain of some 500 jobs, deeper than Python's default stack
sys.setrecursionlimit(10_000)

# the package works installed; where it is not (a rule's conda environment), its folder is found by this
sys.path.insert(0, str((Path(workflow.basedir) / "workflow").resolve()))

from lora_envar.plan.belonging import OtherExperimentError, record
from lora_envar.plan.brought import digests, missing_files, missing_lines
from lora_envar.plan.completion import ConfigurationError
from lora_envar.plan.plan import any_of
from lora_envar.plan.prepare import prepare
from lora_envar.runtime.patches import apply_patches
from lora_envar.runtime.start import (
    figure,
    made_or_present,
    model_input,
    needed_but_missing,
    present,
    present_all,
    present_by_name,
    refuse,
)
from lora_envar.runtime.step import CHECKPOINT_MINUTES, prepare_environment
from lora_envar.verification import ROLLOUT_HOURS

# a configuration given by --configfile stands alone, it is not merged into the example's
if not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


report: "workflow/report/workflow.rst"


try:
    plan = prepare(config)
except (ConfigurationError, OtherExperimentError) as error:
    refuse(str(error))

apply_patches()
prepare_environment(
    config.get("warm_start", True),
    config.get("checkpoint_minutes", CHECKPOINT_MINUTES),
    config.get("readers", 0),
)

# the GPU that the rules ask for
A100 = {"gpu": 1, "gpu_model": "a100"}
# files that are removed after their last use unless the configuration keeps them
kept = str if config["cycling"]["keep_forecasts"] else temp


wildcard_constraints:
    experiment=any_of(list(plan.experiments)),
    network=any_of(list(config["observations"])),
    vae=any_of(list(config["vaes"])),
    time=r"\d{8}T\d{2}",
    block=r"(finer_|training_)?\d{8}",
    day=r"\d{8}",


include: "workflow/rules/archive.smk"
include: "workflow/rules/forecast_model.smk"
include: "workflow/rules/background.smk"
include: "workflow/rules/observations.smk"
include: "workflow/rules/cycle.smk"
include: "workflow/rules/cycled_ensemble.smk"
include: "workflow/rules/diagnostics.smk"
include: "workflow/rules/verification.smk"
include: "workflow/rules/single_observations.smk"
include: "workflow/rules/analysis_spread.smk"
include: "workflow/rules/gates.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/study.smk"
include: "workflow/rules/search.smk"
include: "workflow/rules/example.smk"
include: "workflow/rules/storage.smk"


rule all:
    """The comparison of all experiments: scores, their significance, and the report."""
    default_target: True
    input:
        "results/scores.csv",
        "results/comparison.csv",
        "results/report.html",
        "results/results.md",
        plan.verification.spread.files,


# what a user must bring and is missing is said at once, and a dry run still shows the graph
missing = missing_files(plan.brought())
if missing and workflow.is_main_process:
    lines = [*missing_lines(missing), "(A dry run, -n, shows the graph all the same.)"]
    print(*lines, sep="\n", file=sys.stderr, flush=True)


onstart:
    # what needs it is refused before anything is started
    jobs = list(workflow.dag.needrun_jobs())
    needed = needed_but_missing(missing, jobs)
    if needed:
        refuse(*needed)
    try:
        if {job.rule.name for job in jobs} - {"storage", "count_storage"}:
            record(config)
    except OtherExperimentError as error:
        refuse(str(error))
