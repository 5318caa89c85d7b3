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
    wildcard_constraints:
        network=any_of(networks("simulated")),
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


# Reports of the example's world in place of GDAS's.
rule simulate_reports:
    input:
        unpack(network_files("stations", "orography", "error_table")),
        archive=lambda wildcards: archive_files(*[parse_time(wildcards.time)] * 2),
    output:
        "results/observations/{network}/prepbufr/{time}.prepbufr",
    log:
        "logs/simulate_reports/{network}/{time}.log",
    benchmark:
        "benchmarks/simulate_reports/{network}/{time}.tsv"
    wildcard_constraints:
        network=any_of(networks("prepbufr", "stations")),
    conda:
        "../../envs/archive.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        network=network_settings("gross_error_share", "seed"),
        brought=network_digests("stations", "orography", "error_table"),
    script:
        "../scripts/simulate_reports.py"


rule download_gdas:
    output:
        temp("results/observations/{network}/prepbufr/{time}.prepbufr"),
    log:
        "logs/download_gdas/{network}/{time}.log",
    benchmark:
        "benchmarks/download_gdas/{network}/{time}.tsv"
    wildcard_constraints:
        network=any_of(networks("prepbufr", "url")),
    conda:
        "../../envs/archive.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=240,
    params:
        url=lambda wildcards: config["observations"][wildcards.network]["url"],
    script:
        "../scripts/download_gdas.py"


rule decode_prepbufr:
    input:
        unpack(network_files("orography", "error_table")),
        prepbufr=prepbufr_file,
    output:
        "results/observations/{network}/decoded/{time}.nc",
    log:
        "logs/decode_prepbufr/{network}/{time}.log",
    benchmark:
        "benchmarks/decode_prepbufr/{network}/{time}.tsv"
    wildcard_constraints:
        network=any_of(networks("prepbufr")),
    conda:
        "../../envs/archive.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        network=network_settings("categories", "reported_errors"),
        brought=decoded_digests,
    script:
        "../scripts/decode_prepbufr.py"


rule select_observations:
    input:
        lambda wildcards: expand(
            "results/observations/{network}/decoded/{time}.nc",
            network=wildcards.network,
            time=gdas_cycles(wildcards),
        ),
    output:
        "results/observations/{network}/{day}.nc",
    log:
        "logs/select_observations/{network}/{day}.log",
    benchmark:
        "benchmarks/select_observations/{network}/{day}.tsv"
    wildcard_constraints:
        network=any_of(networks("prepbufr")),
    conda:
        "../../envs/archive.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        network=network_settings("half_window_hours", "quality", "seed"),
        times=lambda wildcards: day_times(wildcards.day),
    script:
        "../scripts/select_observations.py"
