rule first_guess:
    """The first background of an experiment, a forecast from the reanalysis; in single-step experiments, every background."""
    input:
        archive=lambda wildcards: plan.first_guess_files(wildcards.first),
        model=model_input(*plan.model_files),
    output:
        kept("results/{first}/background.nc"),
    log:
        "logs/first_guess/{first}.log",
        timings="logs/first_guess/{first}.timings.tsv",
    benchmark:
        "benchmarks/first_guess/{first}.tsv"
    wildcard_constraints:
        first=plan.first_guess_pattern,
    group:
        lambda wildcards: plan.submission(*wildcards.first.split("/"))
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        **A100,
        mem_mb=8000,
        runtime=10,
    params:
        model=config["forecast_model"],
        start=lambda wildcards: plan.first_guess_start(wildcards.first),
        lead_hours=config["cycling"]["first_guess_hours"],
        cycle_hours=config["cycling"]["step_hours"],
        brought=digests(plan.model_files.brought),
    script:
        "../scripts/first_guess.py"


rule ensemble_forecast:
    """The next background, and forecasts of longer leads as ensemble members of later cycles."""
    input:
        unpack(
            lambda wildcards: plan.background_inputs(
                wildcards.experiment, wildcards.time
            )
        ),
        model=model_input(*plan.model_files),
    output:
        background=kept("results/{experiment}/{time}/background.nc"),
        members=kept("results/{experiment}/{time}/members.nc"),
    log:
        "logs/ensemble_forecast/{experiment}/{time}.log",
        timings="logs/ensemble_forecast/{experiment}/{time}.timings.tsv",
    benchmark:
        "benchmarks/ensemble_forecast/{experiment}/{time}.tsv"
    wildcard_constraints:
        experiment=plan.later_cycles_pattern(with_ensemble=True),
    priority: 10  # the chain with the most jobs per cycle decides when a run ends
    group:
        lambda wildcards: plan.submission(wildcards.experiment, wildcards.time)
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        **A100,
        mem_mb=8000,
        runtime=10,
    params:
        model=config["forecast_model"],
        step_hours=config["cycling"]["step_hours"],
        start=lambda wildcards: plan.background_start(
            wildcards.experiment, wildcards.time
        ),
        ensemble_size=lambda wildcards: plan.experiments[wildcards.experiment].lags,
        error_grid=config["error_grid"],
        brought=digests(plan.model_files.brought),
    script:
        "../scripts/ensemble_forecast.py"


use rule ensemble_forecast as background_forecast with:
    """The next background alone, for methods without an ensemble."""
    output:
        background=kept("results/{experiment}/{time}/background.nc"),
    log:
        "logs/background_forecast/{experiment}/{time}.log",
        timings="logs/background_forecast/{experiment}/{time}.timings.tsv",
    benchmark:
        "benchmarks/background_forecast/{experiment}/{time}.tsv"
    wildcard_constraints:
        experiment=plan.later_cycles_pattern(with_ensemble=False),
    priority: 0


use rule ensemble_forecast as reanalysis_forecast with:
    """Members that start from the reanalysis: those of single-step experiments, and of last year's dates."""
    input:
        unpack(lambda wildcards: plan.reanalysis_forecast_inputs(wildcards.time)),
        model=model_input(*plan.model_files),
    output:
        members=kept("results/reanalysis_forecasts/{time}.nc"),
    log:
        "logs/reanalysis_forecast/{time}.log",
        timings="logs/reanalysis_forecast/{time}.timings.tsv",
    benchmark:
        "benchmarks/reanalysis_forecast/{time}.tsv"
    group:
        "reanalysis_forecasts"
    params:
        model=config["forecast_model"],
        step_hours=config["cycling"]["step_hours"],
        start=lambda wildcards: wildcards.time,
        ensemble_size=plan.ensembles.reanalysis_leads(),
        error_grid=config["error_grid"],
        brought=digests(plan.model_files.brought),


rule finetune_lora:
    """The VAE's low-rank adapters of a cycle, finetuned on the ensemble."""
    input:
        unpack(
            lambda wildcards: plan.finetune_inputs(
                wildcards.experiment, wildcards.time
            )
        ),
        # not read: the steps of a block follow each other, so that none shares its GPU
        background="results/{experiment}/{time}/background.nc",
    output:
        "results/{experiment}/{time}/adapters.safetensors",
    log:
        "logs/finetune_lora/{experiment}/{time}.log",
        timings="logs/finetune_lora/{experiment}/{time}.timings.tsv",
    benchmark:
        "benchmarks/finetune_lora/{experiment}/{time}.tsv"
    priority: 10  # the chain with the most jobs per cycle decides when a run ends
    group:
        lambda wildcards: plan.submission(wildcards.experiment, wildcards.time)
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        **A100,
        mem_mb=16000,
        runtime=10,
    params:
        method=lambda wildcards: plan.experiments[wildcards.experiment].method.name,
        settings=lambda wildcards: plan.experiments[
            wildcards.experiment
        ].finetune_settings,
        rank=lambda wildcards: plan.experiments[wildcards.experiment].entry.get("rank"),
        ensemble_size=lambda wildcards: plan.experiments[
            wildcards.experiment
        ].ensemble_size,
        valid=lambda wildcards: plan.members_valid(wildcards.experiment, wildcards.time),
        seed=lambda wildcards: plan.experiments[wildcards.experiment].entry["seed"],
    script:
        "../scripts/finetune_lora.py"


use rule finetune_lora as finetune_all with:
    """All weights of the VAE in place of adapters: full finetuning, the baseline."""
    output:
        kept("results/{experiment}/{time}/vae.safetensors"),
    log:
        "logs/finetune_all/{experiment}/{time}.log",
        timings="logs/finetune_all/{experiment}/{time}.timings.tsv",
    benchmark:
        "benchmarks/finetune_all/{experiment}/{time}.tsv"


rule assimilate:
    """One analysis from a background, observations and the method's background error."""
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
        analysis="results/{experiment}/{time}/analysis.nc",
        observations="results/{experiment}/{time}/observations.nc",
    log:
        "logs/assimilate/{experiment}/{time}.log",
        timings="logs/assimilate/{experiment}/{time}.timings.tsv",
    benchmark:
        "benchmarks/assimilate/{experiment}/{time}.tsv"
    wildcard_constraints:
        experiment=plan.analysed_pattern("plain"),
    group:
        lambda wildcards: plan.submission(wildcards.experiment, wildcards.time)
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        **A100,
        mem_mb=16000,
        runtime=15,
    params:
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
        "../scripts/assimilate.py"


use rule assimilate as assimilate_adaptive with:
    """One analysis of an experiment that calibrates itself, and the amplitudes for the next."""
    output:
        analysis="results/{experiment}/{time}/analysis.nc",
        observations="results/{experiment}/{time}/observations.nc",
        amplitudes="results/{experiment}/{time}/amplitudes.csv",
    log:
        "logs/assimilate_adaptive/{experiment}/{time}.log",
        timings="logs/assimilate_adaptive/{experiment}/{time}.timings.tsv",
    benchmark:
        "benchmarks/assimilate_adaptive/{experiment}/{time}.tsv"
    wildcard_constraints:
        experiment=plan.analysed_pattern("adaptive"),
