"""Rule join_scores: the scores of an experiment's blocks in one table, by kind and then by time."""

from lora_envar.script import step

with step(snakemake):
    import pandas as pd
    from lora_envar.files import whole
    from lora_envar.verification.score import read_scores

    table = pd.concat(map(read_scores, snakemake.input), ignore_index=True).sort_values("kind", kind="stable")
    with whole(snakemake.output[0]) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")
