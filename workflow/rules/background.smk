rule nmc_forecasts:
    input:
        archive=lambda wildcards: training_files(
            nmc_times(wildcards.block)[0] - timedelta(hours=TRAINING_FRAME_HOURS),
            nmc_times(wildcards.block)[-1]
            + timedelta(hours=config["nmc"]["tau_hours"]),
        ),
        model=present(*model_files(TRAINING["forecast_model"])),
    output:
        temp("results/background/nmc/{block}.nc"),
    log:
        "logs/nmc_forecasts/{block}.log",
    benchmark:
        "benchmarks/nmc_forecasts/{block}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=240,
        gpu=1,
        gpu_model="a100",
    params:
        model=TRAINING["forecast_model"],
        times=lambda wildcards: [time_name(t) for t in nmc_times(wildcards.block)],
        tau_hours=config["nmc"]["tau_hours"],
        error_grid=config["error_grid"],
        brought=digests(model_files(TRAINING["forecast_model"])),
    script:
        "../scripts/nmc_forecasts.py"


rule nmc_training_set:
    input:
        expand("results/background/nmc/{block}.nc", block=NMC_BLOCKS),
    output:
        "results/background/nmc_training_set.nc",
    log:
        "logs/nmc_training_set.log",
    benchmark:
        "benchmarks/nmc_training_set.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=240,
    script:
        "../scripts/nmc_training_set.py"


rule fit_gaussian:
    input:
        "results/background/nmc_training_set.nc",
    output:
        "results/background/gaussian.safetensors",
    log:
        "logs/fit_gaussian.log",
    benchmark:
        "benchmarks/fit_gaussian.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        error_grid=config["error_grid"],
    script:
        "../scripts/fit_gaussian.py"


rule fit_genbe:
    input:
        "results/background/nmc_training_set.nc",
    output:
        "results/background/genbe.safetensors",
    log:
        "logs/fit_genbe.log",
    benchmark:
        "benchmarks/fit_genbe.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=120,
    params:
        error_grid=config["error_grid"],
    script:
        "../scripts/fit_genbe.py"


rule pretrain_vae:
    input:
        samples="results/background/nmc_training_set.nc",
        initial=present(config["vae"].get("initial_weights")),
    output:
        "results/background/vae.safetensors",
    log:
        "logs/pretrain_vae.log",
    benchmark:
        "benchmarks/pretrain_vae.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1  # with more, the bytes would depend on the number of cores
    resources:
        mem_mb=16000,
        runtime=2880,
        gpu=1,
        gpu_model="a100",
    params:
        vae={
            key: value
            for key, value in config["vae"].items()
            if key != "residual_draws"
        },
        error_grid=config["error_grid"],
        held_out=config["nmc"]["held_out"],
        brought=digests(filter(None, [config["vae"].get("initial_weights")])),
    script:
        "../scripts/pretrain_vae.py"


rule fit_residual:
    input:
        samples="results/background/nmc_training_set.nc",
        vae="results/background/vae.safetensors",
    output:
        "results/background/residual.safetensors",
    log:
        "logs/fit_residual.log",
    benchmark:
        "benchmarks/fit_residual.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=120,
        gpu=1,
        gpu_model="a100",
    params:
        error_grid=config["error_grid"],
        draws=config["vae"]["residual_draws"],
        held_out=config["nmc"]["held_out"],
        seed=config["vae"]["training"]["seed"],
    script:
        "../scripts/fit_residual.py"


# What the forecast model of a window (4D-Var) errs by at its slots.
rule forecast_error:
    input:
        archive=lambda wildcards: archive_files(*measured_in(wildcards.window)[:2]),
        model=lambda wildcards: present(
            *model_files(config["windows"][wildcards.window]["model"])
        ),
    output:
        "results/background/forecast_error_{window}.csv",
    log:
        "logs/forecast_error/{window}.log",
    benchmark:
        "benchmarks/forecast_error/{window}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=240,
        gpu=1,
        gpu_model="a100",
    params:
        window=lambda wildcards: config["windows"][wildcards.window],
        starts=lambda wildcards: forecast_error_starts(wildcards.window),
        brought=lambda wildcards: digests(
            model_files(config["windows"][wildcards.window]["model"])
        ),
    script:
        "../scripts/forecast_error.py"
