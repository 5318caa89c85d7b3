"""Rule diagnose_analyses: an experiment's analyses over time, and their fit to observations after the spin-up."""

from lora_envar.runtime.step import step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.files.tables import write_table
        from lora_envar.observations.table import read_observations
        from lora_envar.verification.diagnostics import diagnose
        from lora_envar.verification.observation_fit import fit, rejections

    experiment = snakemake.wildcards.experiment
    tables = list(snakemake.input.observations)
    write_table(snakemake.output.cycles, diagnose(experiment, tables, snakemake.input.adapters))
    scored = tables[snakemake.params.spin_up :]
    for function, path in ((fit, snakemake.output.fit), (rejections, snakemake.output.rejections)):
        table = function(read_observations(name) for name in scored)
        table.insert(0, "experiment", experiment)
        write_table(path, table)
