"""Rule cycled_ensemble_forecast: the next background of every member of a filter, and their mean."""

from lora_envar.runtime.step import device, step

with step(snakemake) as clock:
    with clock.imports():
        from datetime import timedelta

        import torch
        from lora_envar.background.cycled_ensemble import additive_errors
        from lora_envar.background.training_set import TrainingSet
        from lora_envar.fields.regridding import regridder
        from lora_envar.fields.timeline import parse
        from lora_envar.files.ensemble_file import read_ensemble, write_ensemble
        from lora_envar.files.provenance import described
        from lora_envar.files.state_file import write_states
        from lora_envar.forecast import load_model
        from lora_envar.forecast.stepping import forecast_members

    time = parse(snakemake.wildcards.time)
    start = parse(snakemake.params.start)
    lead = snakemake.params.step_hours
    model = load_model(**snakemake.params.model, device=device())
    analyses, grid = read_ensemble(snakemake.input.analysis, start)
    before = None
    for path in snakemake.input.before:
        before = torch.from_numpy(read_ensemble(path, start - timedelta(hours=model.step_hours))[0])
    members = forecast_members(model, torch.from_numpy(analyses), lead, before, start, device())
    errors = TrainingSet(snakemake.input.errors)
    to_state_grid = regridder(errors.grid, grid)
    share = snakemake.params.additive_error
    purpose = snakemake.params.seed, snakemake.wildcards.time
    members += additive_errors(errors, len(members), share, *purpose, to_state_grid=to_state_grid)
    about = described(snakemake)
    write_states(snakemake.output.background, members.mean(0)[None].numpy(), [time], grid, about, start=start)
    write_ensemble(snakemake.output.members, members.numpy(), time, grid, about)
