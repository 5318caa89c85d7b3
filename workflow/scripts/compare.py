"""Rule compare: differences between experiments after the spin-up, and their significance."""

from lora_envar.runtime.step import step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.files.atomic import atomic_write
        from lora_envar.verification.score import after_spin_up, read_scores
        from lora_envar.verification.significance import compare

    scores = read_scores(snakemake.input[0])
    bootstrap = snakemake.params.bootstrap
    table = compare(
        after_spin_up(scores, snakemake.params.spin_up),
        snakemake.params.references,
        bootstrap["samples"],
        bootstrap["seed"],
    )
    with atomic_write(snakemake.output[0]) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")
