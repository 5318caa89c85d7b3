WORLD = config.get("example")
REMADE = "results/example"

if WORLD:

    rule remake_example:
        """The example's world from scratch; compare the results with resources/example/, and copy them there."""
        input:
            expand(f"{REMADE}/{{name}}.nc", name=WORLD["archives"]),
            expand(f"{REMADE}/{{name}}.safetensors", name=WORLD["emulators"]),
            expand(f"{REMADE}/vae_{{vae}}.safetensors", vae=WORLD["vaes"]),
            f"{REMADE}/orography.nc",
        localrule: True

    rule nature_run:
        """A segment of the nature run, as T21 coefficients."""
        output:
            f"{REMADE}/nature_{{segment}}.nc",
        log:
            "logs/nature_run/{segment}.log",
            timings="logs/nature_run/{segment}.timings.tsv",
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
            step_hours=lambda wildcards: WORLD["segments"][wildcards.segment][
                "step_hours"
            ],
        script:
            "../scripts/nature_run.py"

    rule pack_archive:
        """A segment, or a period of it, in the packed form that ships with the workflow."""
        input:
            f"{REMADE}/nature_{{archive}}.nc",
        output:
            f"{REMADE}/{{archive}}.nc",
        log:
            "logs/pack_archive/{archive}.log",
            timings="logs/pack_archive/{archive}.timings.tsv",
        benchmark:
            "benchmarks/pack_archive/{archive}.tsv"
        wildcard_constraints:
            archive="|".join(WORLD["archives"]),
        conda:
            "../../envs/torch.yaml"
        threads: 1
        resources:
            mem_mb=4000,
            runtime=30,
        params:
            period=lambda wildcards: WORLD["archives"][wildcards.archive],
        script:
            "../scripts/pack_archive.py"

    rule surface_height:
        """The height of the surface of the example's world."""
        input:
            f"{REMADE}/nature_archive.nc",
        output:
            f"{REMADE}/orography.nc",
        log:
            "logs/surface_height.log",
            timings="logs/surface_height.timings.tsv",
        benchmark:
            "benchmarks/surface_height.tsv"
        conda:
            "../../envs/torch.yaml"
        threads: 1
        resources:
            mem_mb=4000,
            runtime=30,
        script:
            "../scripts/surface_height.py"

    rule train_emulator:
        """A forecast model of the example, trained on its nature runs."""
        input:
            lambda wildcards: expand(
                f"{REMADE}/nature_{{segment}}.nc",
                segment=WORLD["emulators"][wildcards.emulator]["segments"],
            ),
        output:
            f"{REMADE}/{{emulator}}.safetensors",
        log:
            "logs/train_emulator/{emulator}.log",
            timings="logs/train_emulator/{emulator}.timings.tsv",
        benchmark:
            "benchmarks/train_emulator/{emulator}.tsv"
        wildcard_constraints:
            emulator="|".join(WORLD["emulators"]),
        conda:
            "../../envs/torch.yaml"
        threads: 1  # with more, the bytes would depend on the number of cores
        resources:
            **A100,
            mem_mb=8000,
            runtime=240,
        params:
            settings=lambda wildcards: WORLD["emulators"][wildcards.emulator],
        script:
            "../scripts/train_emulator.py"

    rule example_nmc:
        """Forecast errors of a nature run, as T21 coefficients."""
        input:
            segment=f"{REMADE}/nature_{{segment}}.nc",
            model=f"{REMADE}/emulator.safetensors",
        output:
            f"{REMADE}/nmc_{{segment}}.nc",
        log:
            "logs/example_nmc/{segment}.log",
            timings="logs/example_nmc/{segment}.timings.tsv",
        benchmark:
            "benchmarks/example_nmc/{segment}.tsv"
        conda:
            "../../envs/torch.yaml"
        threads: 1
        resources:
            **A100,
            mem_mb=8000,
            runtime=240,
        params:
            tau_hours=config["nmc"]["tau_hours"],
            every_hours=WORLD["nmc"]["every_hours"],
        script:
            "../scripts/example_nmc.py"

    rule train_vae:
        """A VAE that ships with the example, after a long training on the errors of its nature runs."""
        input:
            expand(
                f"{REMADE}/nmc_{{segment}}.nc",
                segment=WORLD["nmc"]["segments"],
            ),
        output:
            f"{REMADE}/vae_{{vae}}.safetensors",
        log:
            "logs/train_vae/{vae}.log",
            timings="logs/train_vae/{vae}.timings.tsv",
        benchmark:
            "benchmarks/train_vae/{vae}.tsv"
        conda:
            "../../envs/torch.yaml"
        threads: 1  # with more, the bytes would depend on the number of cores
        resources:
            **A100,
            mem_mb=12000,
            runtime=480,
        params:
            vae=lambda wildcards: plan.vaes[wildcards.vae].trained,
            training=lambda wildcards: WORLD["vaes"][wildcards.vae],
        script:
            "../scripts/train_vae.py"
