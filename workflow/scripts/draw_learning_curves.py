"""Rule draw_learning_curves: how the trainings of this run went."""

from lora_envar.runtime.step import step

with step(snakemake) as clock:
    with clock.imports():
        import pandas as pd
        from lora_envar.files.tables import read_table, write_table
        from lora_envar.verification.curves import learning

    curves = {name: read_table(path) for name, path in snakemake.params.files.items()}
    learning(snakemake.output.figure, curves)
    write_table(snakemake.output.table, pd.concat(curves, names=["network"]).reset_index("network"))
