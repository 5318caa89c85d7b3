"""Rule forecast_error: errors of a window's forecast model at the window's slots."""

from lora_envar.runtime.step import device, step

with step(snakemake) as clock:
    with clock.imports():
        import torch
        from lora_envar.fields.timeline import from_hours, hours_since_1970, parse
        from lora_envar.files.state_file import Archive
        from lora_envar.files.tables import write_table
        from lora_envar.forecast import forecast, load_model
        from lora_envar.observations.window import measure_forecast_error

    archive = Archive(snakemake.input.archive)
    window = snakemake.params.window
    model = load_model(**window["model"], device=device())
    table = measure_forecast_error(
        lambda state, lead, hour: forecast(model, state, lead, valid=[from_hours(hour)]),
        lambda hour: torch.as_tensor(archive.read(from_hours(hour)), device=device()),
        [hours_since_1970(parse(time)) for time in snakemake.params.starts],
        window["slots"],
        window["slot_hours"],
        archive.grid,
    )
    write_table(snakemake.output[0], table)
