"""Rule collect_ensemble_scores: scores and rank histograms of the ensembles of all experiments, and their figure."""

from lora_envar.runtime.step import step

with step(snakemake) as clock:
    with clock.imports():
        import pandas as pd
        from lora_envar.files.tables import read_table, write_table
        from lora_envar.verification.curves import ensembles
        from lora_envar.verification.replicates import grouped

    tables = {}
    for name in ("scores", "ranks"):
        tables[name] = pd.concat(map(read_table, snakemake.input[name]), ignore_index=True)
        write_table(snakemake.output[name], tables[name])
    ensembles(snakemake.output.figure, grouped(tables["scores"]), grouped(tables["ranks"]))
