"""Rule fit_gaussian: the homogeneous, isotropic background error of 3dvar_spectral."""

from lora_envar.runtime.step import step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.background.gaussian import fit_gaussian, save_gaussian
        from lora_envar.background.training_set import TrainingSet

    samples = TrainingSet(snakemake.input[0])
    covariance = fit_gaussian(samples, snakemake.params.error_grid.get("truncation"))
    save_gaussian(snakemake.output[0], covariance, samples.deviation)
