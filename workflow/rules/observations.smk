rule simulate_observations:
    input:
        archive=lambda wildcards: archive_files(
            parse_time(day_times(wildcards.day)[0]),
            parse_time(day_times(wildcards.day)[-1]),
        ),
        climatology="results/archive/climatology.nc",
    output:
        "results/observations/{network}/{day}.nc",
    log:
        "logs/simulate_observations/{network}/{day}.log",
    benchmark:
        "benchmarks/simulate_observations/{network}/{day}.tsv"
    conda:
        "../../envs/archive.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        network=lambda wildcards: config["observations"][wildcards.network],
        times=lambda wildcards: day_times(wildcards.day),
    script:
        "../scripts/simulate_observations.py"
