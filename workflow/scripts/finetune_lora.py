"""Rules finetune_lora, finetune_all: finetune the VAE's adapters, or all its weights, on an ensemble."""

from lora_envar.runtime.step import checkpoint_minutes, device, step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.analysis import METHODS
        from lora_envar.background.ensemble import read_cycled_members, read_members
        from lora_envar.background.finetuning import finetune_cycle
        from lora_envar.background.training_set import TrainingSet
        from lora_envar.background.vae import VAE
        from lora_envar.fields.timeline import parse
        from lora_envar.networks.checkpoint import Checkpoint
        from lora_envar.settings import settings_from

    time = snakemake.wildcards.time
    seed = snakemake.params.seed
    method = METHODS[snakemake.params.method]
    settings = settings_from(method.FinetuneSettings, snakemake.params.settings)
    vae = VAE.load(snakemake.input.vae, device())
    valid = parse(snakemake.params.valid)
    if "cycled_members" in snakemake.input.keys():
        members = read_cycled_members(snakemake.input.cycled_members, valid, vae.grid, device())
    elif settings.member_source == "nmc":
        members = TrainingSet(snakemake.input.samples).draw(snakemake.params.ensemble_size, seed, time)
    else:
        members = read_members(snakemake.input.samples, valid, snakemake.input.last_year, device())
    about = {"settings": snakemake.params.settings, "rank": snakemake.params.rank, "seed": seed, "time": time}
    checkpoint = Checkpoint(snakemake.output[0], about, snakemake.input, checkpoint_minutes())
    finetuned = finetune_cycle(
        vae,
        members,
        settings,
        method.adapters(settings, snakemake.params.rank),
        (seed, time),
        next(iter(snakemake.input.before), None),
        checkpoint=checkpoint,
    )
    finetuned.save(snakemake.output[0])
    checkpoint.remove()
