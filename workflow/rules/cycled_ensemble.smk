rule model_errors:
    """Errors of the forecast model in the time between analyses, sampled on the training period."""
    input:
        archive=plan.training_set.model_error_files(),
        model=model_input(*plan.training_set.model_files),
    output:
        "results/background/model_errors.nc",
    log:
        "logs/model_errors.log",
        timings="logs/model_errors.timings.tsv",
    benchmark:
        "benchmarks/model_errors.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        **A100,
        mem_mb=8000,
        runtime=240,
    params:
        model=plan.training_set.model,
        times=plan.training_set.model_error_times(),
        lead_hours=config["cycling"]["step_hours"],
        error_grid=config["error_grid"],
        brought=digests(plan.training_set.model_files.brought),
    script:
        "../scripts/model_errors.py"


rule first_ensemble:
    """The members that a filter starts from: the first background plus draws from forecast errors."""
    input:
        background="results/{first}/background.nc",
        samples="results/background/nmc_training_set.nc",
    output:
        kept("results/{first}/background_ensemble.nc"),
    log:
        "logs/first_ensemble/{first}.log",
        timings="logs/first_ensemble/{first}.timings.tsv",
    benchmark:
        "benchmarks/first_ensemble/{first}.tsv"
    wildcard_constraints:
        first=plan.first_ensemble_pattern,
    group:
        lambda wildcards: plan.submission(*wildcards.first.split("/"))
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=10,
    params:
        valid=lambda wildcards: wildcards.first.split("/")[1],
        ensemble_size=lambda wildcards: plan.experiments[
            wildcards.first.split("/")[0]
        ].ensemble_size,
        seed=lambda wildcards: plan.experiments[wildcards.first.split("/")[0]].entry[
            "seed"
        ],
    script:
        "../scripts/first_ensemble.py"


rule cycled_ensemble_forecast:
    """The next background of every member that a filter cycles, and their mean."""
    input:
        unpack(
            lambda wildcards: plan.background_inputs(
                wildcards.experiment, wildcards.time
            )
        ),
        errors="results/background/model_errors.nc",
        model=model_input(*plan.model_files),
    output:
        background=kept("results/{experiment}/{time}/background.nc"),
        members=kept("results/{experiment}/{time}/background_ensemble.nc"),
    log:
        "logs/cycled_ensemble_forecast/{experiment}/{time}.log",
        timings="logs/cycled_ensemble_forecast/{experiment}/{time}.timings.tsv",
    benchmark:
        "benchmarks/cycled_ensemble_forecast/{experiment}/{time}.tsv"
    wildcard_constraints:
        experiment=plan.later_cycles_pattern(cycled=True),
    priority: 10  # as many forecasts as members: this chain may decide when a run ends
    group:
        lambda wildcards: plan.submission(wildcards.experiment, wildcards.time)
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        **A100,
        mem_mb=16000,
        runtime=30,
    params:
        model=config["forecast_model"],
        step_hours=config["cycling"]["step_hours"],
        start=lambda wildcards: plan.background_start(
            wildcards.experiment, wildcards.time
        ),
        additive_error=lambda wildcards: plan.additive_error(wildcards.experiment),
        seed=lambda wildcards: plan.experiments[wildcards.experiment].entry["seed"],
        brought=digests(plan.model_files.brought),
    script:
        "../scripts/cycled_ensemble_forecast.py"


use rule assimilate as assimilate_ensemble with:
    """The analyses of all members that a filter cycles, and their mean."""
    output:
        analysis="results/{experiment}/{time}/analysis.nc",
        observations="results/{experiment}/{time}/observations.nc",
        ensemble=kept("results/{experiment}/{time}/analysis_ensemble.nc"),
    log:
        "logs/assimilate_ensemble/{experiment}/{time}.log",
        timings="logs/assimilate_ensemble/{experiment}/{time}.timings.tsv",
    benchmark:
        "benchmarks/assimilate_ensemble/{experiment}/{time}.tsv"
    wildcard_constraints:
        experiment=plan.analysed_pattern("cycled_ensemble"),
    priority: 10
