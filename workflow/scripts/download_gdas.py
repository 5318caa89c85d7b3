"""Rule download_gdas: the PrepBUFR file of one cycle."""

from lora_envar.runtime.step import step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.fields.timeline import parse
        from lora_envar.observations.gdas import download

    download(parse(snakemake.wildcards.time).strftime(snakemake.params.url), snakemake.output[0])
