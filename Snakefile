import sys
from pathlib import Path

from snakemake.utils import min_version

min_version("9.20")

# where Jupyter is installed, jsonschema builds grammars for formats that the schema here does not have: 5 s a start
sys.modules.setdefault("rfc3987_syntax", None)

# a month of cycles is a chain of some 500 jobs, deeper than Python's default stack
sys.setrecursionlimit(10_000)


# a configuration given by --configfile stands alone, it is not merged into the example's
if not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/inputs.smk"
include: "workflow/rules/verification_inputs.smk"
include: "workflow/rules/archive.smk"
include: "workflow/rules/background.smk"
include: "workflow/rules/observations.smk"
include: "workflow/rules/cycle.smk"
include: "workflow/rules/diagnostics.smk"
include: "workflow/rules/verification.smk"
include: "workflow/rules/search.smk"
include: "workflow/rules/example.smk"
include: "workflow/rules/storage.smk"
include: "workflow/rules/brought.smk"


rule all:
    default_target: True
    input:
        "results/scores.csv",
        "results/comparison.csv",
        "results/report.html",
        "results/results.md",
        FITS,
