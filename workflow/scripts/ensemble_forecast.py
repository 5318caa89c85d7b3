"""Rules ensemble_forecast, background_forecast, reanalysis_forecast: the next background, longer leads as members."""

from lora_envar.runtime.step import device, step

with step(snakemake) as clock:
    with clock.imports():
        from datetime import timedelta
        from itertools import chain

        from lora_envar.fields.grid import Grid
        from lora_envar.fields.regridding import regridder
        from lora_envar.fields.timeline import parse
        from lora_envar.files.provenance import described
        from lora_envar.files.state_file import Archive, write_states
        from lora_envar.forecast import forecasts, frames, load_model

    start = parse(snakemake.params.start)
    hours = snakemake.params.step_hours
    count = max(1, snakemake.params.ensemble_size)
    model = load_model(**snakemake.params.model, device=device())
    analyses = Archive([snakemake.input.analysis, *snakemake.input.before])
    present, previous = frames(model, analyses.get, [start], device())
    leads = [hours * (lag + 1) for lag in range(count)]
    valid = [start + timedelta(hours=lead) for lead in leads]
    states = forecasts(model, present, leads, previous, [start])
    # forecasts from the reanalysis are of no experiment
    about = described(snakemake)
    if "background" in snakemake.output.keys():
        first = next(states)
        background = first.cpu().numpy()
        write_states(snakemake.output.background, background, valid[:1], analyses.grid, about, start=start)
        states = chain([first], states)
    if "members" in snakemake.output.keys():
        error_grid = Grid.from_settings(snakemake.params.error_grid)
        regrid = regridder(analyses.grid, error_grid, device=device())
        members = (regrid(state).cpu().numpy() for state in states)
        write_states(snakemake.output.members, members, valid, error_grid, about, start=start)
