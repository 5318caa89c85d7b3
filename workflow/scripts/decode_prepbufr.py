"""Rule decode_prepbufr: the reports of a PrepBUFR file as data of the state's variables."""

from lora_envar.runtime.step import step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.fields.timeline import parse
        from lora_envar.files.provenance import described
        from lora_envar.observations.reports import Decoding, decode
        from lora_envar.observations.table import write_observations

    files = dict(snakemake.input.items())
    network = snakemake.params.network
    how = Decoding(files["error_table"], files.get("orography"), network["categories"], network["reported_errors"])
    table = decode(files["prepbufr"], how, cycle=parse(snakemake.wildcards.time))
    about = {"title": f"Reports of the PrepBUFR file of {snakemake.wildcards.time}"} | described(snakemake)
    write_observations(snakemake.output[0], table, about)
