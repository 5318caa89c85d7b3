"""Rule single_observations: increments of single observations with the background error of an experiment."""

from lora_envar.runtime.step import device, step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.analysis import METHODS
        from lora_envar.analysis.increments import Increments, write_increments
        from lora_envar.analysis.single import respond_in_cycles
        from lora_envar.fields.grid import Grid
        from lora_envar.files.provenance import described
        from lora_envar.observations.error_table import ErrorTable
        from lora_envar.observations.single import parse_single

    observations = [parse_single(text) for text in snakemake.params.observations]
    error_grid = Grid.from_settings(snakemake.params.error_grid)
    responses = respond_in_cycles(
        METHODS[snakemake.params.method](snakemake.params.settings),
        snakemake.params.files,
        observations,
        ErrorTable(snakemake.input.errors),
        error_grid,
        snakemake.params.minimiser,
        snakemake.params.truncation,
        device(),
    )
    increments = Increments.of(error_grid, observations, {snakemake.wildcards.experiment: responses})
    write_increments(snakemake.output[0], increments, described(snakemake))
