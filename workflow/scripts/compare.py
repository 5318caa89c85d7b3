"""Rule compare: differences between experiments after the spin-up, and their significance."""

from lora_envar.runtime.step import step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.files.tables import write_table
        from lora_envar.verification.score import after_spin_up, read_scores
        from lora_envar.verification.significance import compare

    scores = read_scores(snakemake.input[0])
    bootstrap = snakemake.params.bootstrap
    table = compare(
        after_spin_up(scores, snakemake.params.first_scored),
        snakemake.params.references,
        bootstrap["samples"],
        bootstrap["seed"],
        snakemake.params.networks,
    )
    write_table(snakemake.output[0], table)
