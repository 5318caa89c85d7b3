"""Rule collect_fits: fits to observations, and rejections, of all experiments with reports."""

from lora_envar.runtime.step import step

with step(snakemake) as clock:
    with clock.imports():
        import pandas as pd
        from lora_envar.files.tables import read_table, write_table

    for name in ("fits", "rejections"):
        table = pd.concat(map(read_table, snakemake.input[name]), ignore_index=True)
        write_table(snakemake.output[name], table)
