"""Rule medium_range_forecast: the configured lead times of a forecast from an analysis."""

from lora_envar.runtime.step import device, step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.fields.timeline import parse
        from lora_envar.files.provenance import described
        from lora_envar.files.state_file import Archive, write_forecast
        from lora_envar.forecast import forecasts, frames, load_model

    start = parse(snakemake.wildcards.time)
    analyses = Archive([snakemake.input.analysis, *snakemake.input.before])
    model = load_model(**snakemake.params.model, device=device())
    leads = sorted(snakemake.params.lead_hours)
    present, previous = frames(model, analyses.get, [start], device())
    states = (state[0].cpu().numpy() for state in forecasts(model, present, leads, previous, [start]))
    write_forecast(snakemake.output[0], states, start, leads, analyses.grid, described(snakemake))
