"""Rule fit_residual: covariance of what the VAE's samples lack, from forecast errors it was not trained on."""

from lora_envar.runtime.step import device, step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.background.pretraining import fit_residual, samples_of, save_residual
        from lora_envar.background.training_set import TrainingSet
        from lora_envar.background.vae import VAE
        from lora_envar.fields.harmonics import SphericalHarmonics, finest_truncation

    vae = VAE.load(snakemake.input.vae, device())
    samples = TrainingSet(snakemake.input.samples)
    _, held_out = samples.split(snakemake.params.held_out)
    harmonics = SphericalHarmonics(vae.grid, vae.truncation or finest_truncation(vae.grid), device=device())
    draws = snakemake.params.draws
    covariance = fit_residual(vae, samples_of(samples), held_out, harmonics, draws, snakemake.params.seed)
    save_residual(snakemake.output[0], covariance, samples=len(held_out), draws=draws)
