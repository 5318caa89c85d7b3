"""Rule collect_spectra: mean spectra of all experiments, and their figure."""

from lora_envar.runtime.step import step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.files.tables import read_table, write_table
        from lora_envar.verification.curves import spectra
        from lora_envar.verification.replicates import grouped
        from lora_envar.verification.spectra import pooled

    table = pooled(grouped(read_table(path)) for path in snakemake.input)
    write_table(snakemake.output.table, table)
    spectra(snakemake.output.figure, table, snakemake.params.references)
