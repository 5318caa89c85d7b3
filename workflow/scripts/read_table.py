"""Rule read_table: data of tables that a user brings, of one cycle of 6 h."""

from lora_envar.runtime.step import step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.fields.timeline import parse
        from lora_envar.files.provenance import described
        from lora_envar.observations.brought_tables import read_tables
        from lora_envar.observations.error_table import ErrorTable
        from lora_envar.observations.table import write_observations

    errors = ErrorTable(snakemake.input.get("error_table"))
    table = read_tables(list(snakemake.input.tables), errors, parse(snakemake.wildcards.time))
    about = {"title": f"Brought observations of {snakemake.wildcards.time}"} | described(snakemake)
    write_observations(snakemake.output[0], table, about)
