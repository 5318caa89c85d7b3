"""Rule collect_scores: the experiments' scores in one table, by kind and then by time."""

from lora_envar.runtime.step import step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.files.tables import write_table
        from lora_envar.verification.score import read_scores

    table = read_scores(*snakemake.input)
    write_table(snakemake.output[0], table)
