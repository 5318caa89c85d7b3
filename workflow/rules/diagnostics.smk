# What ensembles know of the background's error, in `results.md`. An experiment's members stay until it has ended.
rule ensemble_diagnostics:
    input:
        backgrounds=lambda wildcards: [
            f"results/{wildcards.experiment}/{time}/background.nc"
            for time in whole_ensembles(wildcards.experiment)
        ],
        members=lambda wildcards: sorted(
            {
                path
                for time in whole_ensembles(wildcards.experiment)
                for files in (member_files, last_year_files)
                for path in files(wildcards.experiment, time)
            }
        ),
        samples="results/background/nmc_training_set.nc",
        archive=lambda wildcards: archive_files(*period(wildcards.experiment)),
    output:
        "results/{experiment}/ensemble.csv",
    log:
        "logs/ensemble_diagnostics/{experiment}.log",
    benchmark:
        "benchmarks/ensemble_diagnostics/{experiment}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=16000,
        runtime=240,
    params:
        members=lambda wildcards: {
            time: member_files(wildcards.experiment, time)
            for time in whole_ensembles(wildcards.experiment)
        },
        last_year=lambda wildcards: {
            time: last_year_files(wildcards.experiment, time)
            for time in whole_ensembles(wildcards.experiment)
        },
    script:
        "../scripts/ensemble_diagnostics.py"


# Fit to observations, those withheld above all, of experiments with reports.
rule fit_to_observations:
    input:
        lambda wildcards: [
            f"results/{wildcards.experiment}/{time}/observations.nc"
            for time in cycles(wildcards.experiment)[
                config["verification"]["spin_up_cycles"] :
            ]
        ],
    output:
        fit="results/{experiment}/observation_fit.csv",
        rejections="results/{experiment}/rejections.csv",
    log:
        "logs/fit_to_observations/{experiment}.log",
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
    input:
        fits=expand("results/{experiment}/observation_fit.csv", experiment=REPORTED),
        rejections=expand("results/{experiment}/rejections.csv", experiment=REPORTED),
    output:
        fits="results/observation_fit.csv",
        rejections="results/rejections.csv",
    log:
        "logs/collect_fits.log",
    benchmark:
        "benchmarks/collect_fits.tsv"
    conda:
        "../../envs/verification.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    script:
        "../scripts/collect_fits.py"
