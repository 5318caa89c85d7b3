"""Rule scorecard: how two experiments differ, variable by variable, at every lead and in every region."""

from lora_envar.runtime.step import step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.files.tables import write_table
        from lora_envar.verification.score import read_scores
        from lora_envar.verification.scorecard import draw, scorecard

    bootstrap = snakemake.params.bootstrap
    card = scorecard(
        read_scores(*snakemake.input),
        snakemake.wildcards.first,
        snakemake.wildcards.second,
        snakemake.params.first_scored,
        bootstrap["samples"],
        bootstrap["seed"],
    )
    write_table(snakemake.output.table, card)
    draw(snakemake.output.figure, card)
