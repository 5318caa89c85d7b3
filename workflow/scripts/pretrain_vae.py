"""Rule pretrain_vae: train the VAE on the forecast errors, from given weights or from nothing."""

from lora_envar.runtime.step import device, step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.background.pretraining import load_vae, new_vae, pretrain, samples_of
        from lora_envar.background.training_set import TrainingSet
        from lora_envar.networks.training import TrainingSettings

    samples = TrainingSet(snakemake.input.samples)
    settings = snakemake.params.vae
    truncation = snakemake.params.error_grid.get("truncation")
    indices, _ = samples.split(snakemake.params.held_out)
    initial = snakemake.input.get("initial")
    if initial:
        vae = load_vae(settings, samples.grid, initial, device())
    else:
        vae = new_vae(settings, samples.grid, truncation, samples_of(samples), indices, device())
    training = dict(settings["training"])
    seed = training.pop("seed")
    epochs = training.pop("epochs")
    schedule = TrainingSettings(steps=epochs * -(-len(indices) // training["batch"]), **training)
    pretrain(vae, samples_of(samples), indices, schedule, seed)
    vae.save(snakemake.output[0], samples=len(indices), updates=schedule.steps)
