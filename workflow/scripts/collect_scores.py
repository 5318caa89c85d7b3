"""Rule collect_scores: the experiments' scores in one table."""

from lora_envar.script import step

with step(snakemake):
    import pandas as pd
    from lora_envar.files import whole
    from lora_envar.verification.score import read_scores

    table = pd.concat(map(read_scores, snakemake.input), ignore_index=True)
    with whole(snakemake.output[0]) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")
