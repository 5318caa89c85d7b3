"""Rule medium_range_forecast: the configured lead times of a forecast from an analysis."""

from lora_envar.runtime.step import device, step

with step(snakemake) as clock:
    with clock.imports():
        import torch
        from lora_envar.background.ensemble import read_members
        from lora_envar.fields.timeline import name, parse, shift
        from lora_envar.files.provenance import described
        from lora_envar.files.state_file import StateFile, write_forecast
        from lora_envar.forecast import forecast, load_model

    analysis = StateFile(snakemake.input.analysis)
    model = load_model(**snakemake.params.model, device=device())
    leads = sorted(snakemake.params.lead_hours)
    state = torch.as_tensor(analysis.read(), device=device())[None]
    before = parse(shift(name(analysis.times[0]), -model.step_hours))
    previous = read_members(snakemake.input.before, before, [], device())
    states = forecast(model, state, leads[-1], previous, analysis.times)
    chosen = torch.cat([states[lead // model.step_hours - 1] for lead in leads])
    about = described(snakemake)
    write_forecast(snakemake.output[0], chosen.cpu().numpy(), analysis.times[0], leads, analysis.grid, about)
