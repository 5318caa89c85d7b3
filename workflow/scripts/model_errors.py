"""Rule model_errors: errors of the forecast model in the time between analyses, on the error grid."""

from lora_envar.runtime.step import device, step

with step(snakemake) as clock:
    with clock.imports():
        import torch
        from lora_envar.background.cycled_ensemble import forecast_errors
        from lora_envar.background.training_set import write_samples
        from lora_envar.fields.grid import Grid
        from lora_envar.fields.regridding import regridder
        from lora_envar.fields.timeline import from_hours, hours_since_1970, parse
        from lora_envar.files.provenance import described
        from lora_envar.files.state_file import Archive
        from lora_envar.forecast import forecast, frames, load_model

    archive = Archive(snakemake.input.archive)
    model = load_model(**snakemake.params.model, device=device())
    error_grid = Grid.from_settings(snakemake.params.error_grid)
    hours = [hours_since_1970(parse(time)) for time in snakemake.params.times]
    lead = snakemake.params.lead_hours

    def forecasts(starts, lead):
        times = [from_hours(hour) for hour in starts]
        states, previous = frames(model, archive.read, times, device())
        return forecast(model, states, lead, previous, times)[-1]

    def truth(starts):
        return torch.stack([torch.from_numpy(archive.read(from_hours(hour))) for hour in starts]).to(device())

    errors = forecast_errors(forecasts, truth, hours, lead, regridder(model.grid, error_grid, device=device()))
    about = {"title": f"Errors of the forecast model in {lead} h", **described(snakemake)}
    meaning = f"forecast of {lead} h from the reanalysis less the reanalysis"
    write_samples(snakemake.output[0], [(hours, errors.cpu().numpy())], error_grid, about, meaning)
