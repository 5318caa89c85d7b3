rule storage:
    """What a configuration downloads, writes and keeps, printed before anything else starts."""
    input:
        "results/storage.txt",
    log:
        "logs/storage.log",
    localrule: True
    conda:
        "../../envs/verification.yaml"
    shell:
        "tee {log} < {input}"


rule count_storage:
    """The sizes of these."""
    output:
        "results/storage.txt",
    log:
        "logs/count_storage.log",
        timings="logs/count_storage.timings.tsv",
    benchmark:
        "benchmarks/count_storage.tsv"
    conda:
        "../../envs/verification.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        config=config,
        counts=lambda wildcards: plan.counts(),
    script:
        "../scripts/count_storage.py"
