"""Rule first_ensemble: the first background with draws from forecast errors, for a filter to begin with."""

from lora_envar.runtime.step import step

with step(snakemake) as clock:
    with clock.imports():
        import torch
        from lora_envar.background.cycled_ensemble import first_members
        from lora_envar.background.training_set import TrainingSet
        from lora_envar.fields.regridding import regridder
        from lora_envar.fields.timeline import parse
        from lora_envar.files.ensemble_file import write_ensemble
        from lora_envar.files.provenance import described
        from lora_envar.files.state_file import StateFile

    time = parse(snakemake.params.valid)
    background = StateFile(snakemake.input.background)
    samples = TrainingSet(snakemake.input.samples)
    members = first_members(
        torch.from_numpy(background.read(time)),
        samples,
        snakemake.params.ensemble_size,
        snakemake.params.seed,
        regridder(samples.grid, background.grid),
    )
    write_ensemble(snakemake.output[0], members.numpy(), time, background.grid, described(snakemake))
