"""Rule finetune_lora: tune the VAE's adapters on the ensemble valid at this time."""

from lora_envar.script import device, step

with step(snakemake):
    import torch
    from lora_envar.background.lora import LoraSettings, tune
    from lora_envar.background.vae import VAE
    from lora_envar.state_file import StateFile
    from lora_envar.timeline import parse

    time, settings = snakemake.wildcards.time, snakemake.params.settings
    members = [torch.from_numpy(StateFile(path).read(parse(time))) for path in snakemake.input.members]
    tune(
        VAE.load(snakemake.input.vae, device()),
        torch.stack(members) if members else None,
        snakemake.input.get("before") or None,
        snakemake.output[0],
        LoraSettings(snakemake.params.rank, settings["alpha"], settings["targets"]),
        settings,
        snakemake.params.seed,
        time,
    )
