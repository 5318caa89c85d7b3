rule download_era5:
    output:
        temp("results/archive/download/{block}.nc"),
    log:
        "logs/download_era5/{block}.log",
    benchmark:
        "benchmarks/download_era5/{block}.tsv"
    conda:
        "../../envs/archive.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=720,
    params:
        archive=lambda wildcards: archive_of(wildcards.block),
        times=lambda wildcards: [time_name(t) for t in archive_times(wildcards.block)],
    script:
        "../scripts/download_era5.py"


rule prepare_archive:
    input:
        "results/archive/download/{block}.nc",
    output:
        "results/archive/states/{block}.nc",
    log:
        "logs/prepare_archive/{block}.log",
    benchmark:
        "benchmarks/prepare_archive/{block}.tsv"
    conda:
        "../../envs/archive.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        grid=lambda wildcards: grid_of(wildcards.block),
        derive=lambda wildcards: archive_of(wildcards.block).get("derive", []),
    script:
        "../scripts/prepare_archive.py"


rule climatology:
    input:
        training_files(NMC_START, NMC_END),
    output:
        "results/archive/climatology.nc",
    log:
        "logs/climatology.log",
    benchmark:
        "benchmarks/climatology.tsv"
    conda:
        "../../envs/archive.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        times=[
            time_name(time)
            for time in times(NMC_START, NMC_END, config["nmc"]["every_hours"])
        ],
    script:
        "../scripts/climatology.py"
