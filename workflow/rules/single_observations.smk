rule single_observations:
    """The increments of single observations under the background error of an experiment, at two times."""
    input:
        lambda wildcards: plan.single_observation_files(wildcards.experiment),
        errors="resources/observation_errors.csv",
    output:
        "results/{experiment}/single_observations.nc",
    log:
        "logs/single_observations/{experiment}.log",
        timings="logs/single_observations/{experiment}.timings.tsv",
    benchmark:
        "benchmarks/single_observations/{experiment}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        **A100,
        mem_mb=16000,
        runtime=60,
    params:
        observations=plan.verification.single.texts,
        files=lambda wildcards: plan.single_observation_inputs(
            wildcards.experiment, plan.verification.single.times
        ),
        method=lambda wildcards: plan.experiments[wildcards.experiment].method.name,
        settings=lambda wildcards: plan.experiments[
            wildcards.experiment
        ].analysis_settings,
        minimiser=config["minimiser"],
        error_grid=config["error_grid"],
        truncation=config["grid"]["truncation"],
    script:
        "../scripts/single_observations.py"


rule draw_single_observations:
    """The increments of single observations in all experiments, as figures and as numbers."""
    input:
        increments=plan.verification.single.files,
        coastline="resources/coastline.csv",
    output:
        figures=report(
            plan.verification.single.figures,
            caption="../report/single_observations.rst",
            category="Figures",
        ),
        vectors=[
            path.replace(".png", ".svg") for path in plan.verification.single.figures
        ],
        table="results/single_observations.csv",
    log:
        "logs/draw_single_observations.log",
        timings="logs/draw_single_observations.timings.tsv",
    benchmark:
        "benchmarks/draw_single_observations.tsv"
    conda:
        "../../envs/verification.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    script:
        "../scripts/draw_single_observations.py"
