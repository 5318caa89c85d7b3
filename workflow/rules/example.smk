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
        wildcard_constraints:
            segment="|".join(WORLD["segments"]),
        conda:
            "../../envs/example.yaml"
        threads: 1
        resources:
            mem_mb=6000,
            runtime=240,
        params:
            start=lambda wildcards: WORLD["segments"][wildcards.segment]["start"],
            days=lambda wildcards: WORLD["segments"][wildcards.segment]["days"],
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
        conda:
            "../../envs/torch.yaml"
        threads: 1
        resources:
            mem_mb=4000,
            runtime=30,
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
        conda:
            "../../envs/torch.yaml"
        threads: 2
        resources:
            mem_mb=8000,
            runtime=240,
            gpu=1,
            gpu_model="a100",
        params:
            settings=WORLD["emulator"],
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
        conda:
            "../../envs/torch.yaml"
        threads: 1
        resources:
            mem_mb=8000,
            runtime=240,
            gpu=1,
            gpu_model="a100",
        params:
            tau_hours=config["nmc"]["tau_hours"],
            every_hours=WORLD["nmc_every_hours"],
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
        conda:
            "../../envs/torch.yaml"
        threads: 2
        resources:
            mem_mb=12000,
            runtime=480,
            gpu=1,
            gpu_model="a100",
        params:
            vae=config["vae"],
            training=WORLD["vae_training"],
        script:
            "../scripts/train_vae.py"
