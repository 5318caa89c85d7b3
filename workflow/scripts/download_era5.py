"""Rule download_era5: one block of the reanalysis from the configured source."""

from lora_envar.runtime.step import step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.archive import SOURCES
        from lora_envar.fields.timeline import parse

    times = [parse(time) for time in snakemake.params.times]
    settings = snakemake.params.archive
    SOURCES[settings["source"]].fetch(settings, times, snakemake.output[0])
