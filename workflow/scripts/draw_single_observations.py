"""Rule draw_single_observations: increments of single observations of all experiments as figures, and in numbers."""

from lora_envar.runtime.step import step

with step(snakemake) as clock:
    with clock.imports():
        import pandas as pd
        from lora_envar.analysis.increments import joined, read_increments
        from lora_envar.files.tables import write_table
        from lora_envar.verification.single import table_of
        from lora_envar.verification.single_figure import single_observation

    increments = joined([read_increments(path) for path in snakemake.input.increments])
    write_table(snakemake.output.table, table_of(increments))
    coastline = pd.read_csv(snakemake.input.coastline)
    for index, paths in enumerate(zip(snakemake.output.figures, snakemake.output.vectors, strict=True)):
        number, time = divmod(index, len(increments.times))
        single_observation(paths, increments, number, time, coastline)
