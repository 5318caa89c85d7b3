"""Rule assimilate: one analysis from the background, the observations and the method's error model."""

from lora_envar.runtime.step import device, step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.analysis.assimilate import assimilate
        from lora_envar.analysis.loading import load
        from lora_envar.analysis.variational import MinimiserSettings
        from lora_envar.background.ensemble import read_members
        from lora_envar.fields.grid import Grid
        from lora_envar.fields.timeline import hours_since_1970, parse
        from lora_envar.files.provenance import described
        from lora_envar.files.state_file import StateFile, read_per_channel, write_states
        from lora_envar.forecast import load_model
        from lora_envar.observations.quality import DepartureChecks
        from lora_envar.observations.table import read_observations, write_observations
        from lora_envar.observations.window import Window, read_forecast_error

    time = parse(snakemake.wildcards.time)
    background = StateFile(snakemake.input.background)
    error_grid = Grid.from_settings(snakemake.params.error_grid)
    files = dict(snakemake.input.items())
    members = read_members(files.get("members", []), time, files.get("last_year", []), device())
    start = hours_since_1970(time)
    window = None
    if wanted := snakemake.params.window:
        slots = wanted["slots"], wanted["slot_hours"]
        model = load_model(**wanted["model"], device=device())
        forecast_error = read_forecast_error(files["forecast_error"], *slots).to(device())
        window = Window(start, *slots, model, forecast_error, wanted["checkpoint"])
    if checks := snakemake.params.checks:
        background_deviation = read_per_channel(files["background_deviation"], "standard_deviation")
        checks = DepartureChecks(background_deviation=background_deviation, **checks)
    result = assimilate(
        background.read(time),
        background.grid,
        error_grid,
        read_observations(snakemake.input.observations).at(window.hours if window else [start]),
        load(snakemake.params.method, files, snakemake.params.settings, error_grid, members, device()),
        snakemake.params.settings.get("background_weight", 1.0),
        MinimiserSettings(**snakemake.params.minimiser),
        window,
        device=device(),
        checks=checks,
    )
    about = described(snakemake)
    title = {"title": f"Analysis of {time:%Y-%m-%dT%H} UTC"}
    write_states(snakemake.output.analysis, result.state[None], [time], background.grid, title | about)
    write_observations(snakemake.output.observations, result.observations, about | result.attributes())
