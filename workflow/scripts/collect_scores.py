"""Rule collect_scores: the experiments' scores in one table."""

from lora_envar.script import step

with step(snakemake):
    import pandas as pd
    from lora_envar.files import whole

    table = pd.concat([pd.read_csv(path, dtype={"level": "Int64"}) for path in snakemake.input], ignore_index=True)
    with whole(snakemake.output[0]) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")
