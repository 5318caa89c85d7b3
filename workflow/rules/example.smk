# Remaking the example's world from nothing: `snakemake --cores 2 remake_example`. The results are to be compared with,
# and copied to, resources/example/.
WORLD = config.get("example")
REMADE = "results/example"

if WORLD:
    TRAINING = [name for name in WORLD["segments"] if name != "archive"]

    rule remake_example:
        input:
            f"{REMADE}/archive.nc",
            f"{REMADE}/emulator.safetensors",
            f"{REMADE}/vae.safetensors",
        localrule: True

    rule nature_run:
        output:
            f"{REMADE}/nature_{{segment}}.nc",
        log:
            "logs/nature_run/{segment}.log",
        benchmark:
            "benchmarks/nature_run/{segment}.tsv"
        message:
            "nature run {wildcards.segment}"
        wildcard_constraints:
            segment="|".join(WORLD["segments"]),
        threads: 1
        resources:
            mem_mb=6000,
            runtime=240,
        params:
            start=lambda wildcards: WORLD["segments"][wildcards.segment]["start"],
            days=lambda wildcards: WORLD["segments"][wildcards.segment]["days"],
        conda:
            "../../envs/example.yaml"
        script:
            "../scripts/nature_run.py"

    rule pack_archive:
        input:
            f"{REMADE}/nature_archive.nc",
        output:
            f"{REMADE}/archive.nc",
        log:
            "logs/pack_archive.log",
        benchmark:
            "benchmarks/pack_archive.tsv"
        message:
            "packing the archive for shipping"
        threads: 1
        resources:
            mem_mb=4000,
            runtime=30,
        conda:
            "../../envs/torch.yaml"
        script:
            "../scripts/pack_archive.py"

    rule train_emulator:
        input:
            expand(f"{REMADE}/nature_{{segment}}.nc", segment=TRAINING),
        output:
            f"{REMADE}/emulator.safetensors",
        log:
            "logs/train_emulator.log",
        benchmark:
            "benchmarks/train_emulator.tsv"
        message:
            "training the example's forecast model"
        threads: 2
        resources:
            mem_mb=8000,
            runtime=240,
            gpu=1,
            gpu_model="a100",
        params:
            settings=WORLD["emulator"],
        conda:
            "../../envs/torch.yaml"
        script:
            "../scripts/train_emulator.py"

    rule example_nmc:
        input:
            segment=f"{REMADE}/nature_{{segment}}.nc",
            model=f"{REMADE}/emulator.safetensors",
        output:
            f"{REMADE}/nmc_{{segment}}.nc",
        log:
            "logs/example_nmc/{segment}.log",
        benchmark:
            "benchmarks/example_nmc/{segment}.tsv"
        message:
            "forecast errors of the nature run {wildcards.segment}"
        threads: 1
        resources:
            mem_mb=8000,
            runtime=240,
            gpu=1,
            gpu_model="a100",
        params:
            tau_hours=config["nmc"]["tau_hours"],
            every_hours=WORLD["nmc_every_hours"],
        conda:
            "../../envs/torch.yaml"
        script:
            "../scripts/example_nmc.py"

    rule train_vae:
        input:
            expand(f"{REMADE}/nmc_{{segment}}.nc", segment=TRAINING),
        output:
            f"{REMADE}/vae.safetensors",
        log:
            "logs/train_vae.log",
        benchmark:
            "benchmarks/train_vae.tsv"
        message:
            "training the example's VAE"
        threads: 2
        resources:
            mem_mb=12000,
            runtime=480,
            gpu=1,
            gpu_model="a100",
        params:
            vae=config["vae"],
            training=WORLD["vae_training"],
        conda:
            "../../envs/torch.yaml"
        script:
            "../scripts/train_vae.py"
