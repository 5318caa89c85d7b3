"""Rule nmc_forecasts: forecast errors of one block of start times, on the error grid."""

from lora_envar.runtime.step import device, step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.background.nmc import nmc_differences
        from lora_envar.background.training_set import write_samples
        from lora_envar.fields.grid import Grid
        from lora_envar.fields.regridding import regridder
        from lora_envar.fields.timeline import from_hours, hours_since_1970, parse
        from lora_envar.files.provenance import described
        from lora_envar.files.state_file import Archive
        from lora_envar.forecast import forecasts, frames, load_model

    archive = Archive(snakemake.input.archive)
    model = load_model(**snakemake.params.model, device=device())
    error_grid = Grid.from_settings(snakemake.params.error_grid)
    hours = [hours_since_1970(parse(time)) for time in snakemake.params.times]

    def from_reanalysis(starts, leads):
        times = [from_hours(hour) for hour in starts]
        states, previous = frames(model, archive.read, times, device())
        return forecasts(model, states, leads, previous, times)

    differences = nmc_differences(
        from_reanalysis,
        hours,
        snakemake.params.tau_hours,
        regridder(model.grid, error_grid, device=device()),
    )
    write_samples(snakemake.output[0], [(hours, differences.cpu().numpy())], error_grid, described(snakemake))
