"""Rule fit_to_observations: fit of an experiment's backgrounds and analyses to used and withheld observations."""

from lora_envar.runtime.step import step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.files.tables import write_table
        from lora_envar.observations.table import read_observations
        from lora_envar.verification.observation_fit import fit, rejections

    for function, path in ((fit, snakemake.output.fit), (rejections, snakemake.output.rejections)):
        table = function(read_observations(name) for name in snakemake.input)
        table.insert(0, "experiment", snakemake.wildcards.experiment)
        write_table(path, table)
