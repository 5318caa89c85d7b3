"""Rule collect_scores: the experiments' scores in one table, by kind and then by time."""

from lora_envar.runtime.step import step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.files.atomic import atomic_write
        from lora_envar.verification.score import read_scores

    table = read_scores(*snakemake.input)
    with atomic_write(snakemake.output[0]) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")
