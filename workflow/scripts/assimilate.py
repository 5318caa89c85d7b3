"""Rule assimilate: one analysis from the background, the observations and the method's background error."""

from lora_envar.runtime.step import device, step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.analysis import METHODS
        from lora_envar.analysis.amplitudes import write_amplitudes
        from lora_envar.analysis.assimilate import Case
        from lora_envar.analysis.method import Inputs
        from lora_envar.analysis.variational import MinimiserSettings
        from lora_envar.fields.grid import Grid
        from lora_envar.fields.timeline import hours_since_1970, parse
        from lora_envar.files.provenance import described
        from lora_envar.files.state_file import StateFile, read_per_channel, write_ensemble, write_states
        from lora_envar.forecast import load_model
        from lora_envar.observations.quality import DepartureChecks
        from lora_envar.observations.table import read_observations, write_observations
        from lora_envar.observations.window import Window, read_forecast_error

    time = parse(snakemake.wildcards.time)
    start = hours_since_1970(time)
    files = dict(snakemake.input.items())
    background = StateFile(snakemake.input.background)
    error_grid = Grid.from_settings(snakemake.params.error_grid)
    window = None
    if wanted := snakemake.params.window:
        slots = wanted["slots"], wanted["slot_hours"]
        model = load_model(**wanted["model"], device=device())
        forecast_error = read_forecast_error(files["forecast_error"], *slots).to(device())
        window = Window(start, *slots, model, forecast_error, wanted["checkpoint"])
    checks = None
    if snakemake.params.checks:
        deviation = read_per_channel(files["background_deviation"], "standard_deviation")
        checks = DepartureChecks(background_deviation=deviation, **snakemake.params.checks)
    observations = read_observations(snakemake.input.observations).at(window.hours if window else [start])
    minimiser = MinimiserSettings(**snakemake.params.minimiser)
    method = METHODS[snakemake.params.method](snakemake.params.settings)
    case = Case(background.read(time), background.grid, error_grid, observations, minimiser, window, checks, device())
    result = method.analyse(case, Inputs(files, time, error_grid, device(), snakemake.params.truncation))
    about = described(snakemake)
    title = {"title": f"Analysis of {time:%Y-%m-%dT%H} UTC"}
    write_states(snakemake.output.analysis, result.state[None], [time], background.grid, title | about)
    if result.ensemble:
        write_ensemble(snakemake.output.ensemble, result.ensemble.members, time, background.grid, about)
    if result.amplitudes is not None:
        write_amplitudes(snakemake.output.amplitudes, result.amplitudes)
    write_observations(snakemake.output.observations, result.observations, about | result.attributes())
