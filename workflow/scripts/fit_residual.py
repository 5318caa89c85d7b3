"""Rule fit_residual: covariances of the VAE's latent fields and of its residual, from held-out samples."""

from lora_envar.script import device, step

with step(snakemake):
    from lora_envar.background.pretraining import fit_completion, normalised, save_completion
    from lora_envar.background.training_set import TrainingSet
    from lora_envar.background.vae import VAE
    from lora_envar.grid import SphericalHarmonics, finest_truncation

    vae = VAE.load(snakemake.input.vae, device())
    samples = TrainingSet(snakemake.input.samples)
    _, held_out = samples.split(snakemake.params.held_out)
    truncation = vae.truncation or finest_truncation(vae.grid)
    latent, residual = fit_completion(
        vae,
        normalised(samples, vae),
        held_out,
        SphericalHarmonics(vae.grid, snakemake.params.latent_truncation, device=device()),
        SphericalHarmonics(vae.grid, truncation, device=device()),
        snakemake.params.seed,
    )
    save_completion(snakemake.output[0], latent, residual, samples=len(held_out))
