rule analysis_spread:
    """Samples around an analysis, and their spread, which is the error that it should have."""
    input:
        unpack(
            lambda wildcards: plan.analysis_inputs(
                wildcards.experiment, wildcards.time
            )
        ),
        background="results/{experiment}/{time}/background.nc",
        window_model=lambda wildcards: model_input(
            *plan.window_model_files(wildcards.experiment)
        ),
    output:
        spread="results/{experiment}/{time}/analysis_spread.nc",
        samples=kept("results/{experiment}/{time}/analysis_samples.nc"),
    log:
        "logs/analysis_spread/{experiment}/{time}.log",
        timings="logs/analysis_spread/{experiment}/{time}.timings.tsv",
    benchmark:
        "benchmarks/analysis_spread/{experiment}/{time}.tsv"
    wildcard_constraints:
        experiment=any_of(plan.verification.spread.names),
    group:
        "analysis_spreads"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        **A100,
        mem_mb=16000,
        runtime=120,
    params:
        samples=plan.verification.spread.samples,
        seed=lambda wildcards: plan.experiments[wildcards.experiment].entry["seed"],
        method=lambda wildcards: plan.experiments[wildcards.experiment].method.name,
        settings=lambda wildcards: plan.experiments[
            wildcards.experiment
        ].analysis_settings,
        minimiser=config["minimiser"],
        window=lambda wildcards: plan.window_of(wildcards.experiment),
        checks=lambda wildcards: plan.departure_checks(wildcards.experiment),
        denied=lambda wildcards: plan.experiments[wildcards.experiment].without,
        error_grid=config["error_grid"],
        truncation=config["grid"]["truncation"],
        brought=lambda wildcards: digests(
            plan.window_model_files(wildcards.experiment).brought
        ),
    script:
        "../scripts/analysis_spread.py"


rule compare_analysis_spread:
    """The spread of analyses relative to their error against the archive, as a table and a figure."""
    input:
        **plan.verification.spread.compared(),
        coastline="resources/coastline.csv",
    output:
        table="results/analysis_spread.csv",
        figure=figure("analysis_spread"),
    log:
        "logs/compare_analysis_spread.log",
        timings="logs/compare_analysis_spread.timings.tsv",
    benchmark:
        "benchmarks/compare_analysis_spread.tsv"
    conda:
        "../../envs/verification.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=30,
    params:
        experiments=plan.verification.spread.experiment_of_each,
    script:
        "../scripts/compare_analysis_spread.py"
