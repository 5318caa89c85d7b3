"""Rules ensemble_forecast, background_forecast, reanalysis_forecast: the next background, longer leads as members."""

from lora_envar.runtime.step import device, step

with step(snakemake) as clock:
    with clock.imports():
        import torch
        from lora_envar.background.ensemble import read_members
        from lora_envar.fields.grid import Grid
        from lora_envar.fields.regridding import regridder
        from lora_envar.fields.timeline import parse, shift
        from lora_envar.files.provenance import described
        from lora_envar.files.state_file import StateFile, write_states
        from lora_envar.forecast import forecast, load_model

    analysis = StateFile(snakemake.input.analysis)
    start = snakemake.params.start
    hours = snakemake.params.step_hours
    model = load_model(**snakemake.params.model, device=device())
    count = max(1, snakemake.params.members)
    state = torch.as_tensor(analysis.read(parse(start)), device=device())[None]
    before = parse(shift(start, -model.step_hours))
    previous = read_members(snakemake.input.before, before, [], device())
    states = forecast(model, state, hours * count, previous, [parse(start)])
    states = torch.cat(states[hours // model.step_hours - 1 :: hours // model.step_hours])
    valid = [parse(shift(start, hours * (lag + 1))) for lag in range(count)]
    # forecasts from the reanalysis are of no experiment
    about = described(snakemake)
    if "background" in snakemake.output.keys():
        background = states[:1].cpu().numpy()
        write_states(snakemake.output.background, background, valid[:1], analysis.grid, about, start=parse(start))
    if "members" in snakemake.output.keys():
        error_grid = Grid.from_settings(snakemake.params.error_grid)
        members = regridder(analysis.grid, error_grid, device=device())(states)
        write_states(snakemake.output.members, members.cpu().numpy(), valid, error_grid, about, start=parse(start))
