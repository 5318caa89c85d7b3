"""Rule analysis_spread: samples of what an analysis leaves uncertain, and their spread."""

from lora_envar.runtime.step import device, step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.analysis import METHODS
        from lora_envar.analysis.case_files import read_case
        from lora_envar.analysis.method import Inputs
        from lora_envar.fields.grid import Grid
        from lora_envar.fields.seeds import generator
        from lora_envar.fields.timeline import parse
        from lora_envar.files.ensemble_file import write_ensemble
        from lora_envar.files.provenance import described
        from lora_envar.files.state_file import write_standard_error

    time = parse(snakemake.wildcards.time)
    files = dict(snakemake.input.items())
    params = snakemake.params
    error_grid = Grid.from_settings(params.error_grid)
    case = read_case(files, time, error_grid, params.minimiser, params.window, params.checks, device(), params.denied)
    draws = [generator(params.seed, "analysis_samples", time.isoformat(), number) for number in range(params.samples)]
    method = METHODS[params.method](params.settings)
    found = method.sample(case, Inputs(files, time, error_grid, device(), params.truncation), draws)
    about = described(snakemake) | found.attributes()
    title = f"Samples about the analysis of {time:%Y-%m-%dT%H} UTC"
    write_ensemble(snakemake.output.samples, found.samples, time, case.grid, {"title": title} | about)
    title = f"Standard deviation of the error that the analysis of {time:%Y-%m-%dT%H} UTC should have"
    write_standard_error(snakemake.output.spread, found.spread(), time, case.grid, {"title": title} | about)
