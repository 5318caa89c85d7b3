"""Rule download_gdas: the PrepBUFR file of one cycle."""

from lora_envar.script import step

with step(snakemake):
    from lora_envar.observations.gdas import download
    from lora_envar.timeline import parse

    download(parse(snakemake.wildcards.time).strftime(snakemake.params.url), snakemake.output[0])
