"""Rule diagnose_analyses: an experiment's analyses over time, and their fit to observations after the spin-up."""

from lora_envar.runtime.step import step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.files.tables import write_table
        from lora_envar.verification.diagnostics import diagnose

    found = diagnose(
        snakemake.wildcards.experiment,
        snakemake.input.observations,
        snakemake.input.adapters,
        snakemake.params.spin_up,
    )
    write_table(snakemake.output.cycles, found.cycles)
    write_table(snakemake.output.fit, found.fit)
    write_table(snakemake.output.rejections, found.rejections)
