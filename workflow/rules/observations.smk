rule simulate_observations:
    """A simulated network's observations of one day's analysis times."""
    input:
        archive=lambda wildcards: plan.archive.files_of_times(
            plan.observations.times(wildcards.network, wildcards.day)
        ),
        climatology="results/archive/climatology.nc",
    output:
        "results/observations/{network}/{day}.nc",
    log:
        "logs/simulate_observations/{network}/{day}.log",
        timings="logs/simulate_observations/{network}/{day}.timings.tsv",
    benchmark:
        "benchmarks/simulate_observations/{network}/{day}.tsv"
    wildcard_constraints:
        network=any_of(plan.observations.of_source("simulated")),
    conda:
        "../../envs/archive.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        network=lambda wildcards: config["observations"][wildcards.network],
        times=lambda wildcards: plan.observations.times(
            wildcards.network, wildcards.day
        ),
    script:
        "../scripts/simulate_observations.py"


rule simulate_reports:
    """Reports of the archive from a network of stations at one time, as PrepBUFR, in place of those of GDAS."""
    input:
        unpack(
            lambda wildcards: present_by_name(
                plan.observations.named_files(wildcards.network)
            )
        ),
        archive=lambda wildcards: plan.archive.files_of_times([wildcards.time]),
    output:
        "results/observations/{network}/prepbufr/{time}.prepbufr",
    log:
        "logs/simulate_reports/{network}/{time}.log",
        timings="logs/simulate_reports/{network}/{time}.timings.tsv",
    benchmark:
        "benchmarks/simulate_reports/{network}/{time}.tsv"
    wildcard_constraints:
        network=any_of(plan.observations.of_source("prepbufr", origin="stations")),
    conda:
        "../../envs/archive.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        network=lambda wildcards: plan.observations.settings(
            wildcards.network, "gross_error_share", "seed"
        ),
        brought=lambda wildcards: digests(
            plan.observations.named_files(wildcards.network).values()
        ),
    script:
        "../scripts/simulate_reports.py"


rule download_gdas:
    """The PrepBUFR file of one cycle."""
    output:
        temp("results/observations/{network}/prepbufr/{time}.prepbufr"),
    log:
        "logs/download_gdas/{network}/{time}.log",
        timings="logs/download_gdas/{network}/{time}.timings.tsv",
    benchmark:
        "benchmarks/download_gdas/{network}/{time}.tsv"
    wildcard_constraints:
        network=any_of(plan.observations.of_source("prepbufr", origin="url")),
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
    """The reports of a PrepBUFR file as data of the state's variables."""
    input:
        unpack(
            lambda wildcards: present_by_name(
                plan.observations.decoding_files(wildcards.network)
            )
        ),
        prepbufr=lambda wildcards: made_or_present(
            plan.observations.fetched_file(wildcards.network, wildcards.time),
            plan.observations.own_files(wildcards.network, wildcards.time),
        ),
    output:
        "results/observations/{network}/decoded/{time}.nc",
    log:
        "logs/decode_prepbufr/{network}/{time}.log",
        timings="logs/decode_prepbufr/{network}/{time}.timings.tsv",
    benchmark:
        "benchmarks/decode_prepbufr/{network}/{time}.tsv"
    wildcard_constraints:
        network=any_of(plan.observations.of_source("prepbufr")),
    conda:
        "../../envs/archive.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        network=lambda wildcards: plan.observations.settings(
            wildcards.network, "categories", "reported_errors"
        ),
        brought=lambda wildcards: digests(
            plan.observations.decoded_from(wildcards.network, wildcards.time)
        ),
    script:
        "../scripts/decode_prepbufr.py"


rule read_table:
    """The data of a cycle from tables that a user brings, in CSV, Parquet, IODA or BUFR."""
    input:
        unpack(
            lambda wildcards: present_by_name(
                plan.observations.decoding_files(wildcards.network)
            )
        ),
        tables=lambda wildcards: present_all(
            plan.observations.own_files(wildcards.network, wildcards.time)
        ),
    output:
        "results/observations/{network}/decoded/{time}.nc",
    log:
        "logs/read_table/{network}/{time}.log",
        timings="logs/read_table/{network}/{time}.timings.tsv",
    benchmark:
        "benchmarks/read_table/{network}/{time}.tsv"
    wildcard_constraints:
        network=any_of(plan.observations.of_source("table", "ioda", "gnssro")),
    conda:
        "../../envs/archive.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        brought=lambda wildcards: digests(
            plan.observations.decoded_from(wildcards.network, wildcards.time)
        ),
    script:
        "../scripts/read_table.py"


rule select_observations:
    """The data of one day's analysis times: checked, thinned, and in part withheld."""
    input:
        lambda wildcards: plan.observations.decoded(wildcards.network, wildcards.day),
    output:
        "results/observations/{network}/{day}.nc",
    log:
        "logs/select_observations/{network}/{day}.log",
        timings="logs/select_observations/{network}/{day}.timings.tsv",
    benchmark:
        "benchmarks/select_observations/{network}/{day}.tsv"
    wildcard_constraints:
        network=any_of(plan.observations.checked()),
    conda:
        "../../envs/archive.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        network=lambda wildcards: plan.observations.settings(
            wildcards.network, "half_window_hours", "quality", "seed"
        ),
        times=lambda wildcards: plan.observations.times(
            wildcards.network, wildcards.day
        ),
    script:
        "../scripts/select_observations.py"
