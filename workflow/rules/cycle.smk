rule first_guess:
    input:
        archive=lambda wildcards: frames(
            parse_time(wildcards.first.rpartition("/")[2])
            - timedelta(hours=config["cycling"]["first_guess_hours"])
        ),
        model=present(*model_files(config["forecast_model"])),
    output:
        kept("results/{first}/background.nc"),
    log:
        "logs/first_guess/{first}.log",
    benchmark:
        "benchmarks/first_guess/{first}.tsv"
    wildcard_constraints:
        first=FIRST,
    group:
        block_of
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=10,
        gpu=1,
        gpu_model="a100",
    params:
        model=config["forecast_model"],
        start=lambda wildcards: shift(
            wildcards.first.rpartition("/")[2],
            -config["cycling"]["first_guess_hours"],
        ),
        lead_hours=config["cycling"]["first_guess_hours"],
        brought=digests(model_files(config["forecast_model"])),
    script:
        "../scripts/first_guess.py"


rule ensemble_forecast:
    input:
        analysis=lambda wildcards: (
            f"results/{wildcards.experiment}/{cycle_before(wildcards)}/analysis.nc"
        ),
        before=lambda wildcards: analysis_before(
            wildcards.experiment, shift(wildcards.time, -STEP)
        ),
        model=present(*model_files(config["forecast_model"])),
    output:
        background=kept("results/{experiment}/{time}/background.nc"),
        members=kept("results/{experiment}/{time}/members.nc"),
    log:
        "logs/ensemble_forecast/{experiment}/{time}.log",
    benchmark:
        "benchmarks/ensemble_forecast/{experiment}/{time}.tsv"
    wildcard_constraints:
        experiment=later_cycles(with_ensemble=True),
    priority: 10  # the chain with the most jobs a cycle decides when a run ends
    group:
        block_of
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=10,
        gpu=1,
        gpu_model="a100",
    params:
        model=config["forecast_model"],
        step_hours=STEP,
        start=lambda wildcards: shift(wildcards.time, -STEP),
        members=lambda wildcards: ensemble_sizes(EXPERIMENTS[wildcards.experiment])[0],
        error_grid=config["error_grid"],
        brought=digests(model_files(config["forecast_model"])),
    script:
        "../scripts/ensemble_forecast.py"


# Methods without an ensemble need the next background alone.
use rule ensemble_forecast as background_forecast with:
    output:
        background=kept("results/{experiment}/{time}/background.nc"),
    log:
        "logs/background_forecast/{experiment}/{time}.log",
    benchmark:
        "benchmarks/background_forecast/{experiment}/{time}.tsv"
    wildcard_constraints:
        experiment=later_cycles(with_ensemble=False),
    priority: 0


# Members of single-step experiments, and those of last year, start from the reanalysis.
use rule ensemble_forecast as reanalysis_forecast with:
    input:
        analysis=lambda wildcards: archive_files(*[parse_time(wildcards.time)] * 2)[0],
        before=lambda wildcards: (
            frames(parse_time(wildcards.time))[:1] if FRAME_HOURS else []
        ),
        model=present(*model_files(config["forecast_model"])),
    output:
        members=kept("results/reanalysis_forecasts/{time}.nc"),
    log:
        "logs/reanalysis_forecast/{time}.log",
    benchmark:
        "benchmarks/reanalysis_forecast/{time}.tsv"
    group:
        "reanalysis_forecasts"
    params:
        model=config["forecast_model"],
        step_hours=STEP,
        start=lambda wildcards: wildcards.time,
        members=reanalysis_leads(),
        error_grid=config["error_grid"],
        brought=digests(model_files(config["forecast_model"])),


rule finetune_lora:
    input:
        samples=finetune_samples,
        last_year=finetune_samples_of_last_year,
        before=finetuned_before,
        vae="results/background/vae.safetensors",
        # not read: the steps of a block follow each other, so that none shares its GPU
        background="results/{experiment}/{time}/background.nc",
    output:
        "results/{experiment}/{time}/adapters.safetensors",
    log:
        "logs/finetune_lora/{experiment}/{time}.log",
    benchmark:
        "benchmarks/finetune_lora/{experiment}/{time}.tsv"
    priority: 10  # the chain with the most jobs a cycle decides when a run ends
    group:
        block_of
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=16000,
        runtime=10,
        gpu=1,
        gpu_model="a100",
    params:
        settings=lambda wildcards: method_of(
            wildcards.experiment
        ).settings_of_finetune(settings(wildcards.experiment)),
        rank=lambda wildcards: EXPERIMENTS[wildcards.experiment].get("rank"),
        ensemble=lambda wildcards: sum(
            ensemble_sizes(EXPERIMENTS[wildcards.experiment])
        ),
        valid=lambda wildcards: members_valid(wildcards)[1],
        seed=lambda wildcards: EXPERIMENTS[wildcards.experiment]["seed"],
    script:
        "../scripts/finetune_lora.py"


# Full finetuning, the baseline: all weights in place of adapters.
use rule finetune_lora as finetune_all with:
    output:
        kept("results/{experiment}/{time}/vae.safetensors"),
    log:
        "logs/finetune_all/{experiment}/{time}.log",
    benchmark:
        "benchmarks/finetune_all/{experiment}/{time}.tsv"


rule assimilate:
    input:
        unpack(background_error_files),
        unpack(window_files),
        unpack(departure_files),
        background="results/{experiment}/{time}/background.nc",
        observations=lambda wildcards: (
            f"results/observations/{EXPERIMENTS[wildcards.experiment]['observations']}/{wildcards.time[:8]}.nc"
        ),
    output:
        analysis="results/{experiment}/{time}/analysis.nc",
        observations="results/{experiment}/{time}/observations.nc",
    log:
        "logs/assimilate/{experiment}/{time}.log",
    benchmark:
        "benchmarks/assimilate/{experiment}/{time}.tsv"
    group:
        block_of
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=16000,
        runtime=15,
        gpu=1,
        gpu_model="a100",
    params:
        method=lambda wildcards: EXPERIMENTS[wildcards.experiment]["method"],
        settings=lambda wildcards: method_of(
            wildcards.experiment
        ).settings_of_analysis(settings(wildcards.experiment)),
        minimiser=config["minimiser"],
        window=lambda wildcards: window_of(wildcards.experiment),
        checks=lambda wildcards: departure_checks(wildcards.experiment),
        error_grid=config["error_grid"],
        brought=lambda wildcards: digests(
            model_files((window_of(wildcards.experiment) or {}).get("model", {}))
        ),
    script:
        "../scripts/assimilate.py"
