"""Rule tune: rank the candidates of every method, and write down the best settings."""

from lora_envar.script import step

with step(snakemake):
    import pandas as pd
    import yaml
    from lora_envar.files import whole
    from lora_envar.verification.ranking import best, rank
    from lora_envar.verification.score import after_spin_up, read_scores

    scores = pd.concat(map(read_scores, snakemake.input), ignore_index=True)
    table = rank(after_spin_up(scores, snakemake.params.spin_up), snakemake.params.candidates)
    with whole(snakemake.output.table) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")
    with whole(snakemake.output.chosen) as temporary:
        temporary.write_text(yaml.safe_dump(best(table), sort_keys=True))
