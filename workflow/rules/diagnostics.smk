rule ensemble_diagnostics:
    """What an experiment's ensembles know of its background's error; its members stay until it has ended."""
    input:
        unpack(
            lambda wildcards: plan.verification.diagnosed_files(wildcards.experiment)
        ),
        samples="results/background/nmc_training_set.nc",
    output:
        "results/{experiment}/ensemble.csv",
    log:
        "logs/ensemble_diagnostics/{experiment}.log",
        timings="logs/ensemble_diagnostics/{experiment}.timings.tsv",
    benchmark:
        "benchmarks/ensemble_diagnostics/{experiment}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=16000,
        runtime=240,
    params:
        members=lambda wildcards: plan.verification.members(wildcards.experiment),
        cycled=lambda wildcards: plan.experiments[wildcards.experiment].ensemble_of
        is not None,
        last_year=lambda wildcards: plan.verification.members_of_last_year(
            wildcards.experiment
        ),
    script:
        "../scripts/ensemble_diagnostics.py"


rule fit_to_observations:
    """Fit of backgrounds and analyses to observations, those withheld above all."""
    input:
        lambda wildcards: plan.verification.fitted_tables(wildcards.experiment),
    output:
        fit="results/{experiment}/observation_fit.csv",
        rejections="results/{experiment}/rejections.csv",
    log:
        "logs/fit_to_observations/{experiment}.log",
        timings="logs/fit_to_observations/{experiment}.timings.tsv",
    benchmark:
        "benchmarks/fit_to_observations/{experiment}.tsv"
    conda:
        "../../envs/verification.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=120,
    script:
        "../scripts/fit_to_observations.py"


rule collect_fits:
    """Fits, and rejections, of all experiments in a table each."""
    input:
        fits=plan.verification.of_reported("observation_fit.csv"),
        rejections=plan.verification.of_reported("rejections.csv"),
    output:
        fits="results/observation_fit.csv",
        rejections="results/rejections.csv",
    log:
        "logs/collect_fits.log",
        timings="logs/collect_fits.timings.tsv",
    benchmark:
        "benchmarks/collect_fits.tsv"
    localrule: True
    conda:
        "../../envs/verification.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    script:
        "../scripts/collect_fits.py"
