"""Rule train_vae: the VAE that ships with the example, trained long on the forecast errors of its nature runs."""

from lora_envar.runtime.step import checkpoint_minutes, device, step

with step(snakemake) as clock:
    with clock.imports():
        import torch
        from lora_envar.background.pretraining import new_vae, pretrain
        from lora_envar.example_world.nature import NATURE_GRID, NATURE_TRUNCATION
        from lora_envar.example_world.packed import read_coefficients
        from lora_envar.fields.harmonics import SphericalHarmonics
        from lora_envar.networks.checkpoint import Checkpoint
        from lora_envar.networks.training import TrainingSettings

    settings = snakemake.params.vae
    coefficients = torch.cat([read_coefficients(path)[1] for path in snakemake.input])
    harmonics = SphericalHarmonics(NATURE_GRID, NATURE_TRUNCATION)
    indices = list(range(len(coefficients)))

    def errors(picked):
        return harmonics.synthesise(coefficients[picked])

    vae = new_vae(settings, NATURE_GRID, NATURE_TRUNCATION, errors, indices, device())
    training = TrainingSettings(**snakemake.params.training)
    about = {"vae": settings, "training": snakemake.params.training}
    checkpoint = Checkpoint(snakemake.output[0], about, snakemake.input, checkpoint_minutes())
    pretrain(vae, errors, indices, training, settings["training"]["seed"], checkpoint=checkpoint)
    vae.save(snakemake.output[0], half=True, samples=len(indices), **snakemake.params.training)
    checkpoint.remove()
