"""Rule compare_analysis_spread: the spread about analyses over their error, as a table and a figure."""

from lora_envar.runtime.step import step

with step(snakemake) as clock:
    with clock.imports():
        import pandas as pd
        from lora_envar.files.state_file import Archive, StateFile
        from lora_envar.files.tables import write_table
        from lora_envar.verification.analysis_spread import of_experiments, table_of
        from lora_envar.verification.analysis_spread_figure import analysis_spread

    truth = Archive(snakemake.input.archive)
    files = zip(snakemake.params.experiments, snakemake.input.spreads, snakemake.input.analyses, strict=True)
    entries = (
        (experiment, StateFile(spread).read(time), analysis.read(time), truth.read(time))
        for experiment, spread, path in files
        for analysis in [StateFile(path)]
        for time in analysis.times
    )
    found = of_experiments(entries, truth.grid)
    write_table(snakemake.output.table, table_of(found))
    analysis_spread(snakemake.output.figure, found, pd.read_csv(snakemake.input.coastline))
