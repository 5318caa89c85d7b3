rule train_forecast_model:
    """A forecast model, trained on states of the archive; it continues from its last checkpoint."""
    input:
        archive=lambda wildcards: plan.trained_models.files(wildcards.model),
    output:
        weights="results/forecast_models/{model}.safetensors",
        curve="results/forecast_models/{model}.csv",
    log:
        "logs/train_forecast_model/{model}.log",
        timings="logs/train_forecast_model/{model}.timings.tsv",
    benchmark:
        "benchmarks/train_forecast_model/{model}.tsv"
    wildcard_constraints:
        model=any_of(plan.trained_models.names),
    conda:
        "../../envs/torch.yaml"
    threads: 1  # with more, the bytes would depend on the number of cores
    resources:
        gpu=lambda wildcards: plan.trained_models.settings(wildcards.model).get(
            "gpus", 1
        ),
        gpu_model="a100",
        cpus_per_task=1 + config.get("readers", 0),
        mem_mb=16000,
        runtime=2880,
    params:
        settings=lambda wildcards: plan.trained_models.settings(wildcards.model),
        truncation=lambda wildcards: plan.trained_models.grid(wildcards.model).get(
            "truncation"
        ),
    script:
        "../scripts/train_forecast_model.py"


rule draw_learning_curves:
    """Losses of all networks that are trained from scratch, by update."""
    input:
        list(plan.learning_curves().values()),
    output:
        table="results/learning_curves.csv",
        figure=figure("learning_curves"),
    log:
        "logs/draw_learning_curves.log",
        timings="logs/draw_learning_curves.timings.tsv",
    benchmark:
        "benchmarks/draw_learning_curves.tsv"
    conda:
        "../../envs/verification.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        files=plan.learning_curves(),
    script:
        "../scripts/draw_learning_curves.py"
