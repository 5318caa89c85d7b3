"""Rules finetune_lora, finetune_all: tune the VAE's adapters, or all its weights, on an ensemble."""

from lora_envar.runtime.step import device, step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.background.ensemble import read_members
        from lora_envar.background.lora import LoraSettings, finetune_cycle
        from lora_envar.background.training_set import TrainingSet
        from lora_envar.background.vae import VAE
        from lora_envar.fields.timeline import parse

    time = snakemake.wildcards.time
    settings = snakemake.params.settings
    seed = snakemake.params.seed
    if settings["member_source"] == "nmc":
        members = TrainingSet(snakemake.input.samples).draw(snakemake.params.ensemble, seed, time)
    else:
        valid = parse(snakemake.params.valid)
        members = read_members(snakemake.input.samples, valid, snakemake.input.last_year, device())
    adapters = snakemake.params.rank and LoraSettings(snakemake.params.rank, settings["alpha"], settings["targets"])
    finetune_cycle(
        VAE.load(snakemake.input.vae, device()),
        members,
        snakemake.input.get("before") or None,
        snakemake.output[0],
        adapters,
        settings,
        seed,
        time,
    )
