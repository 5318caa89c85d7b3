"""Rule first_guess: the first background, a forecast from the reanalysis."""

from lora_envar.script import device, step

with step(snakemake):
    import torch
    from lora_envar.forecast import forecast, load_model
    from lora_envar.state_file import Archive, write_states
    from lora_envar.timeline import parse, shift

    start, lead = snakemake.params.start, snakemake.params.lead_hours
    archive = Archive(snakemake.input.archive)
    model = load_model(**snakemake.params.model, device=device())
    state = torch.as_tensor(archive.read(parse(start)), device=device())
    last = forecast(model, state[None], lead, valid=[parse(start)])[-1]
    write_states(snakemake.output[0], last.cpu().numpy(), [parse(shift(start, lead))], archive.grid)
