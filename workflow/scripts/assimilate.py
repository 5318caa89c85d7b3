"""Rule assimilate: one analysis from the background, the observations and the method's background error."""

from lora_envar.runtime.step import device, step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.analysis import METHODS
        from lora_envar.analysis.amplitudes import write_amplitudes
        from lora_envar.analysis.case_files import read_case
        from lora_envar.analysis.method import Inputs
        from lora_envar.fields.grid import Grid
        from lora_envar.fields.timeline import parse
        from lora_envar.files.ensemble_file import write_ensemble
        from lora_envar.files.provenance import described
        from lora_envar.files.state_file import write_states
        from lora_envar.observations.table import write_observations

    time = parse(snakemake.wildcards.time)
    files = dict(snakemake.input.items())
    params = snakemake.params
    error_grid = Grid.from_settings(params.error_grid)
    case = read_case(files, time, error_grid, params.minimiser, params.window, params.checks, device(), params.denied)
    method = METHODS[params.method](params.settings)
    result = method.analyse(case, Inputs(files, time, error_grid, device(), params.truncation))
    about = described(snakemake)
    title = {"title": f"Analysis of {time:%Y-%m-%dT%H} UTC"}
    write_states(snakemake.output.analysis, result.state[None], [time], case.grid, title | about)
    if result.ensemble:
        write_ensemble(snakemake.output.ensemble, result.ensemble.members, time, case.grid, about)
    if result.amplitudes is not None:
        write_amplitudes(snakemake.output.amplitudes, result.amplitudes)
    write_observations(snakemake.output.observations, result.observations, about | result.attributes())
