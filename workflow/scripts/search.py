"""Rule search: rank the candidates of every method, and write down the best settings."""

from lora_envar.runtime.step import step

with step(snakemake) as clock:
    with clock.imports():
        import yaml
        from lora_envar.files.atomic import atomic_write
        from lora_envar.files.tables import write_table
        from lora_envar.verification.ranking import best, rank
        from lora_envar.verification.score import after_spin_up, read_scores

    scores = read_scores(*snakemake.input)
    table = rank(after_spin_up(scores, snakemake.params.first_scored), snakemake.params.candidates)
    write_table(snakemake.output.table, table)
    with atomic_write(snakemake.output.chosen) as temporary:
        temporary.write_text(yaml.safe_dump(best(table), sort_keys=True))
