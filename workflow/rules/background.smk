rule nmc_forecasts:
    """Forecast errors of a block of start times by the NMC method, on the error grid."""
    input:
        archive=lambda wildcards: plan.training_set.archive_files(wildcards.block),
        model=model_input(*plan.training_set.model_files),
    output:
        temp("results/background/nmc/{block}.nc"),
    log:
        "logs/nmc_forecasts/{block}.log",
        timings="logs/nmc_forecasts/{block}.timings.tsv",
    benchmark:
        "benchmarks/nmc_forecasts/{block}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        **A100,
        mem_mb=8000,
        runtime=240,
    params:
        model=plan.training_set.model,
        times=lambda wildcards: plan.training_set.starts(wildcards.block),
        tau_hours=config["nmc"]["tau_hours"],
        error_grid=config["error_grid"],
        brought=digests(plan.training_set.model_files.brought),
    script:
        "../scripts/nmc_forecasts.py"


rule nmc_training_set:
    """All forecast errors in one file, with their standard deviation."""
    input:
        expand("results/background/nmc/{block}.nc", block=plan.training_set.blocks),
    output:
        "results/background/nmc_training_set.nc",
    log:
        "logs/nmc_training_set.log",
        timings="logs/nmc_training_set.timings.tsv",
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
    """The homogeneous, isotropic background error of `3dvar_spectral`."""
    input:
        "results/background/nmc_training_set.nc",
    output:
        "results/background/gaussian.safetensors",
    log:
        "logs/fit_gaussian.log",
        timings="logs/fit_gaussian.timings.tsv",
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
    """The static background error of `3dvar` and `hybrid`, in the manner of GEN_BE."""
    input:
        "results/background/nmc_training_set.nc",
    output:
        "results/background/genbe.safetensors",
    log:
        "logs/fit_genbe.log",
        timings="logs/fit_genbe.timings.tsv",
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
    """A VAE, trained on forecast errors from given weights or from scratch; it continues from its last checkpoint."""
    input:
        samples="results/background/nmc_training_set.nc",
        initial=lambda wildcards: present(plan.vaes[wildcards.vae].initial_weights),
    output:
        weights="results/background/{vae}/vae.safetensors",
        curve="results/background/{vae}/training.csv",
    log:
        "logs/pretrain_vae/{vae}.log",
        timings="logs/pretrain_vae/{vae}.timings.tsv",
    benchmark:
        "benchmarks/pretrain_vae/{vae}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1  # with more, the bytes would depend on the number of cores
    resources:
        gpu=lambda wildcards: plan.vaes[wildcards.vae].entry["training"].get("gpus", 1),
        gpu_model="a100",
        mem_mb=18000,  # at the size of the paper, on a CPU: 16.4 GB with one sample a batch
        runtime=2880,
    params:
        vae=lambda wildcards: plan.vaes[wildcards.vae].trained,
        error_grid=config["error_grid"],
        held_out=config["nmc"]["held_out"],
        brought=lambda wildcards: digests(plan.vaes[wildcards.vae].brought),
    script:
        "../scripts/pretrain_vae.py"


rule fit_residual:
    """Covariance of held-out errors that decoded samples of the VAE lack."""
    input:
        samples="results/background/nmc_training_set.nc",
        vae="results/background/{vae}/vae.safetensors",
    output:
        "results/background/{vae}/residual.safetensors",
    log:
        "logs/fit_residual/{vae}.log",
        timings="logs/fit_residual/{vae}.timings.tsv",
    benchmark:
        "benchmarks/fit_residual/{vae}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        **A100,
        mem_mb=8000,
        runtime=120,
    params:
        error_grid=config["error_grid"],
        draws=lambda wildcards: plan.vaes[wildcards.vae].entry["residual_draws"],
        held_out=config["nmc"]["held_out"],
        seed=lambda wildcards: plan.vaes[wildcards.vae].entry["training"]["seed"],
    script:
        "../scripts/fit_residual.py"


rule forecast_error:
    """Errors of the forecast model of a window (4D-Var) at its slots."""
    input:
        archive=lambda wildcards: plan.windows.archive_files(wildcards.window),
        model=lambda wildcards: model_input(*plan.windows.files_of(wildcards.window)),
    output:
        "results/background/forecast_error_{window}.csv",
    log:
        "logs/forecast_error/{window}.log",
        timings="logs/forecast_error/{window}.timings.tsv",
    benchmark:
        "benchmarks/forecast_error/{window}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        **A100,
        mem_mb=8000,
        runtime=240,
    params:
        window=lambda wildcards: plan.windows[wildcards.window],
        starts=lambda wildcards: plan.windows.starts(wildcards.window),
        brought=lambda wildcards: digests(
            plan.windows.files_of(wildcards.window).brought
        ),
    script:
        "../scripts/forecast_error.py"
