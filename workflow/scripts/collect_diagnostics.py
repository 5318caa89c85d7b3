"""Rule collect_diagnostics: diagnostics, fits to observations and rejections of all experiments, and their figures."""

from lora_envar.runtime.step import step

with step(snakemake) as clock:
    with clock.imports():
        import pandas as pd
        from lora_envar.files.tables import read_table, write_table
        from lora_envar.verification.curves import departures, diagnostics_over_time

    tables = {}
    for name in ("diagnostics", "fits", "rejections"):
        tables[name] = pd.concat(map(read_table, snakemake.input[name]), ignore_index=True)
        write_table(snakemake.output[name], tables[name])
    diagnostics_over_time(snakemake.output.over_time, tables["diagnostics"])
    departures(snakemake.output.departures, tables["fits"])
