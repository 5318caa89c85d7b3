"""Rule first_guess: the first background, a forecast from the reanalysis."""

from lora_envar.runtime.step import device, step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.fields.timeline import parse, shift
        from lora_envar.files.provenance import described
        from lora_envar.files.state_file import Archive, write_states
        from lora_envar.forecast import forecast, frames, load_model

    start = snakemake.params.start
    lead = snakemake.params.lead_hours
    archive = Archive(snakemake.input.archive)
    model = load_model(**snakemake.params.model, device=device())
    states, previous = frames(model, archive.read, [parse(start)], device())
    last = forecast(model, states, lead, previous, [parse(start)])[-1]
    valid = parse(shift(start, lead))
    title = f"First background, of {valid:%Y-%m-%dT%H} UTC, a forecast from the reanalysis"
    about = {"title": title, **described(snakemake)}
    write_states(snakemake.output[0], last.cpu().numpy(), [valid], archive.grid, about, start=parse(start))
