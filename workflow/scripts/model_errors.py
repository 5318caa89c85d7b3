"""Rule model_errors: errors of the forecast model in the time between analyses, on the error grid."""

from lora_envar.runtime.step import device, step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.background.training_set import write_samples
        from lora_envar.fields.grid import Grid
        from lora_envar.fields.regridding import regridder
        from lora_envar.fields.timeline import hours_since_1970, parse
        from lora_envar.files.provenance import described
        from lora_envar.files.state_file import Archive
        from lora_envar.forecast import load_model
        from lora_envar.forecast.perturbed import forecast_errors

    archive = Archive(snakemake.input.archive)
    model = load_model(**snakemake.params.model, device=device())
    error_grid = Grid.from_settings(snakemake.params.error_grid)
    regrid = regridder(model.grid, error_grid, device=device())
    times = [parse(time) for time in snakemake.params.times]
    lead = snakemake.params.lead_hours
    errors = forecast_errors(model, archive.read, times, lead, device(), regrid=regrid)
    about = {"title": f"Errors of the forecast model in {lead} h", **described(snakemake)}
    meaning = f"forecast of {lead} h from the reanalysis less the reanalysis"
    hours = [hours_since_1970(time) for time in times]
    write_samples(snakemake.output[0], [(hours, errors.cpu().numpy())], error_grid, about, meaning)
