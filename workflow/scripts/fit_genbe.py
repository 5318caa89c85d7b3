"""Rule fit_genbe: the static background error of 3D-Var."""

from lora_envar.runtime.step import step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.background.genbe import fit_genbe
        from lora_envar.background.training_set import TrainingSet

    samples = TrainingSet(snakemake.input[0])
    truncation = snakemake.params.error_grid.get("truncation")
    fit_genbe(samples.centred(), samples.grid, truncation).save(snakemake.output[0])
