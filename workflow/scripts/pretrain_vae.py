"""Rule pretrain_vae: train the VAE on the forecast errors, from given weights or from scratch."""

from lora_envar.runtime.step import checkpoint_minutes, device, step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.background.pretraining import load_vae, new_vae, pretrain, samples_of
        from lora_envar.background.training_set import TrainingSet
        from lora_envar.files.tables import write_table
        from lora_envar.networks.checkpoint import Checkpoint
        from lora_envar.networks.training import TrainingSettings

    params = snakemake.params
    output = snakemake.output
    samples = TrainingSet(snakemake.input.samples)
    settings = params.vae
    truncation = params.error_grid.get("truncation")
    indices, held_out = samples.split(params.held_out)
    initial = snakemake.input.get("initial")
    if initial:
        vae = load_vae(settings, samples.grid, initial, device())
    else:
        vae = new_vae(settings, samples.grid, truncation, samples_of(samples), indices, device())
    training = dict(settings["training"])
    seed = training.pop("seed")
    epochs = training.pop("epochs")
    patience = training.pop("patience", None)
    per_epoch = -(-len(indices) // training["batch"])
    schedule = TrainingSettings(steps=epochs * per_epoch, **training)
    about = {"vae": settings, "error_grid": params.error_grid, "held_out": params.held_out, "brought": params.brought}
    checkpoint = Checkpoint(output.weights, about, [snakemake.input.samples], checkpoint_minutes())
    course = pretrain(
        vae,
        samples_of(samples),
        indices,
        schedule,
        seed,
        held_out=held_out,
        patience=patience,
        checkpoint=checkpoint,
    )
    vae.save(output.weights, samples=len(indices), updates=course.kept)
    write_table(output.curve, course.table(per_epoch))
    checkpoint.remove()
