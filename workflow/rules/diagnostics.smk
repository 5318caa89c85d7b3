rule ensemble_diagnostics:
    """What an experiment's ensembles know about the error of its background; its members are kept until it has ended."""
    input:
        unpack(
            lambda wildcards: plan.verification.diagnosed_files(wildcards.experiment)
        ),
        samples="results/background/nmc_training_set.nc",
    output:
        spanned="results/{experiment}/ensemble.csv",
        scores="results/{experiment}/ensemble_scores.csv",
        ranks="results/{experiment}/rank_histogram.csv",
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
        cycled=lambda wildcards: plan.experiments[
            wildcards.experiment
        ].has_cycled_members,
        first_scored=lambda wildcards: plan.verification.first_scored(
            wildcards.experiment
        ),
        last_year=lambda wildcards: plan.verification.members_of_last_year(
            wildcards.experiment
        ),
    script:
        "../scripts/ensemble_diagnostics.py"


rule collect_ensemble_scores:
    """Scores and rank histograms of the ensembles of all experiments, in one table each, and the figure."""
    input:
        scores=plan.verification.of_diagnosed("ensemble_scores.csv"),
        ranks=plan.verification.of_diagnosed("rank_histogram.csv"),
    output:
        scores="results/ensemble_scores.csv",
        ranks="results/rank_histograms.csv",
        figure=figure("ensembles"),
    log:
        "logs/collect_ensemble_scores.log",
        timings="logs/collect_ensemble_scores.timings.tsv",
    benchmark:
        "benchmarks/collect_ensemble_scores.tsv"
    conda:
        "../../envs/verification.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    script:
        "../scripts/collect_ensemble_scores.py"


rule diagnose_analyses:
    """What an experiment's analyses say about themselves, and how backgrounds and analyses fit observations."""
    input:
        unpack(
            lambda wildcards: plan.verification.diagnosed_analyses(
                wildcards.experiment
            )
        ),
    output:
        cycles="results/{experiment}/diagnostics.csv",
        fit="results/{experiment}/observation_fit.csv",
        rejections="results/{experiment}/rejections.csv",
    log:
        "logs/diagnose_analyses/{experiment}.log",
        timings="logs/diagnose_analyses/{experiment}.timings.tsv",
    benchmark:
        "benchmarks/diagnose_analyses/{experiment}.tsv"
    conda:
        "../../envs/verification.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        spin_up=config["verification"]["spin_up_cycles"],
    script:
        "../scripts/diagnose_analyses.py"


rule collect_diagnostics:
    """Diagnostics of analyses, fits to observations, and rejections of all experiments, in one table each, and figures."""
    input:
        diagnostics=plan.verification.of_fitted("diagnostics.csv"),
        fits=plan.verification.of_fitted("observation_fit.csv"),
        rejections=plan.verification.of_fitted("rejections.csv"),
    output:
        diagnostics="results/diagnostics.csv",
        fits="results/observation_fit.csv",
        rejections="results/rejections.csv",
        over_time=figure("diagnostics"),
        departures=figure("departures"),
    log:
        "logs/collect_diagnostics.log",
        timings="logs/collect_diagnostics.timings.tsv",
    benchmark:
        "benchmarks/collect_diagnostics.tsv"
    conda:
        "../../envs/verification.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    script:
        "../scripts/collect_diagnostics.py"
