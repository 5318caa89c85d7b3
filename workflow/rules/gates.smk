rule model_gates:
    """Whether the forecast model and the background errors are fit to be cycled."""
    input:
        plan.verification.judged_files(),
        archive=plan.verification.gate_files(),
        climatology="results/archive/climatology.nc",
        samples="results/background/nmc_training_set.nc",
        model=model_input(*plan.model_files),
    output:
        gates="results/model_gates.csv",
        forecast="results/forecast_model.csv",
    log:
        "logs/model_gates.log",
        timings="logs/model_gates.timings.tsv",
    benchmark:
        "benchmarks/model_gates.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        **A100,
        mem_mb=12000,
        runtime=120,
    params:
        model=config["forecast_model"],
        held_out=config["nmc"]["held_out"],
        error_grid=config["error_grid"],
        judged=plan.verification.judged,
        vaes=plan.verification.judged_vaes,
        first=plan.verification.first_cycle_name,
        rollout_hours=config["verification"].get("rollout_hours", ROLLOUT_HOURS),
        seed=config["verification"]["bootstrap"]["seed"],
        brought=digests(plan.model_files.brought),
    script:
        "../scripts/model_gates.py"


rule learned_errors:
    """Whether static background errors have learned where errors are large: held-out errors, and those in cycles."""
    input:
        plan.verification.judged_files(),
        **plan.verification.cycled_files(),
        samples="results/background/nmc_training_set.nc",
        coastline="resources/coastline.csv",
    output:
        table="results/learned_errors.csv",
        figure=figure("learned_errors"),
    log:
        "logs/learned_errors.log",
        timings="logs/learned_errors.timings.tsv",
    benchmark:
        "benchmarks/learned_errors.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        **A100,
        mem_mb=16000,
        runtime=120,
    params:
        held_out=config["nmc"]["held_out"],
        error_grid=config["error_grid"],
        judged=plan.verification.judged,
        cycled=plan.verification.cycled_backgrounds(),
        first=plan.verification.first_cycle_name,
        seed=config["verification"]["bootstrap"]["seed"],
    script:
        "../scripts/learned_errors.py"


rule cycling_gates:
    """Whether the cycled experiments pass their gates."""
    input:
        scores="results/scores.csv",
        diagnostics=plan.verification.diagnostics[:1],
    output:
        "results/cycling_gates.csv",
    log:
        "logs/cycling_gates.log",
        timings="logs/cycling_gates.timings.tsv",
    benchmark:
        "benchmarks/cycling_gates.tsv"
    conda:
        "../../envs/verification.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        methods=plan.methods,
        first_scored=plan.verification.first_scored_cycles(),
    script:
        "../scripts/cycling_gates.py"
