rule download_era5:
    """One block of the reanalysis from the configured source."""
    input:
        lambda wildcards: present(*plan.archive.brought(wildcards.block)),
    output:
        temp("results/archive/download/{block}.nc"),
    log:
        "logs/download_era5/{block}.log",
        timings="logs/download_era5/{block}.timings.tsv",
    benchmark:
        "benchmarks/download_era5/{block}.tsv"
    conda:
        "../../envs/archive.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=720,
    params:
        archive=lambda wildcards: plan.archive.source(wildcards.block),
        times=lambda wildcards: plan.archive.times(wildcards.block),
        brought=lambda wildcards: digests(plan.archive.brought(wildcards.block)),
    script:
        "../scripts/download_era5.py"


rule prepare_archive:
    """A block as 69-channel states on the configured grid."""
    input:
        "results/archive/download/{block}.nc",
    output:
        "results/archive/states/{block}.nc",
    log:
        "logs/prepare_archive/{block}.log",
        timings="logs/prepare_archive/{block}.timings.tsv",
    benchmark:
        "benchmarks/prepare_archive/{block}.tsv"
    conda:
        "../../envs/archive.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        grid=lambda wildcards: plan.archive.grid(wildcards.block),
        derive=lambda wildcards: plan.archive.derived(wildcards.block),
    script:
        "../scripts/prepare_archive.py"


rule climatology:
    """Mean and anomaly standard deviation of the archive over the NMC period."""
    input:
        plan.training_set.climatology_files(),
    output:
        "results/archive/climatology.nc",
    log:
        "logs/climatology.log",
        timings="logs/climatology.timings.tsv",
    benchmark:
        "benchmarks/climatology.tsv"
    conda:
        "../../envs/archive.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        times=plan.training_set.climatology_times(),
    script:
        "../scripts/climatology.py"
