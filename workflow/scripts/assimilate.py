"""Rule assimilate: one analysis from the background, the observations and the method's error model."""

from lora_envar.runtime.step import described, device, step

with step(snakemake):
    from lora_envar.analysis.assimilate import Case, assimilate
    from lora_envar.analysis.loading import load
    from lora_envar.analysis.variational import MinimiserSettings
    from lora_envar.background.ensemble import read_members
    from lora_envar.fields.grid import Grid
    from lora_envar.fields.timeline import hours_since_1970, parse
    from lora_envar.files.state_file import StateFile, read_per_channel, write_states
    from lora_envar.forecast import load_model
    from lora_envar.observations.quality import DepartureChecks
    from lora_envar.observations.table import read_observations, write_observations
    from lora_envar.observations.window import Window, read_forecast_error

    time = parse(snakemake.wildcards.time)
    background = StateFile(snakemake.input.background)
    table = read_observations(snakemake.input.observations)
    settings = snakemake.params.settings
    error_grid = Grid.from_settings(snakemake.params.error_grid)
    files = dict(snakemake.input.items())
    members = read_members(files.get("members", []), time, files.get("last_year", []), device())
    start, window = hours_since_1970(time), None
    if wanted := snakemake.params.window:
        slots = wanted["slots"], wanted["slot_hours"]
        model = load_model(**wanted["model"], device=device())
        forecast_error = read_forecast_error(files["forecast_error"], *slots).to(device())
        window = Window(start, *slots, model, forecast_error, wanted["checkpoint"])
    if checks := snakemake.params.checks:
        background_deviation = read_per_channel(files["background_deviation"], "standard_deviation")
        checks = DepartureChecks(background_deviation=background_deviation, **checks)
    case = Case(
        background.read(time),
        background.grid,
        error_grid,
        table.at(window.hours if window else [start]),
        MinimiserSettings(**snakemake.params.minimiser),
        window,
        checks,
        device(),
    )
    background_error = load(snakemake.params.method, files, settings, error_grid, members, device())
    result = assimilate(case, background_error, settings.get("background_weight", 1.0))
    about = described(snakemake)
    title = {"title": f"Analysis of {time:%Y-%m-%dT%H} UTC"}
    write_states(snakemake.output.analysis, result.state[None], [time], background.grid, title | about)
    write_observations(snakemake.output.observations, result.observations, about | result.attributes())
