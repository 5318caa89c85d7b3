"""Rule first_guess: the first background, a forecast from the reanalysis."""

from lora_envar.runtime.step import device, step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.fields.timeline import parse, shift
        from lora_envar.files.provenance import described
        from lora_envar.files.state_file import Archive, write_states
        from lora_envar.forecast import forecasts, frames, load_model
        from lora_envar.forecast.skill import refuse_worse_than_persistence

    start = snakemake.params.start
    lead = snakemake.params.lead_hours
    archive = Archive(snakemake.input.archive)
    model = load_model(**snakemake.params.model, device=device())
    states, previous = frames(model, archive.read, [parse(start)], device())
    cycle = snakemake.params.cycle_hours
    first, last = forecasts(model, states, [cycle, lead], previous, [parse(start)])
    truth = archive.read(parse(shift(start, cycle)))
    refuse_worse_than_persistence(first[0].cpu().numpy(), states[0].cpu().numpy(), truth, archive.grid, cycle)
    valid = parse(shift(start, lead))
    title = f"First background, of {valid:%Y-%m-%dT%H} UTC, a forecast from the reanalysis"
    about = {"title": title, **described(snakemake)}
    write_states(snakemake.output[0], last.cpu().numpy(), [valid], archive.grid, about, start=parse(start))
