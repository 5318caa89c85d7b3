"""Rule study: what methods gain on references, by the number of observed columns, in several worlds."""

from lora_envar.runtime.step import step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.files.atomic import atomic_write
        from lora_envar.files.tables import write_table
        from lora_envar.verification.figures import gain_curves
        from lora_envar.verification.results import study_page
        from lora_envar.verification.score import read_scores
        from lora_envar.verification.study import Member, study

    params = snakemake.params
    worlds = {name: read_scores(path) for name, path in zip(params.worlds, snakemake.input, strict=True)}
    members = {name: Member(*entry) for name, entry in params.members.items()}
    bootstrap = params.bootstrap
    table = study(worlds, members, params.first_scored, params.references, bootstrap["samples"], bootstrap["seed"])
    if table.empty:
        references = ", ".join(params.references)
        raise ValueError(f"study: no world has an experiment with scores beside {references} on its network")
    write_table(snakemake.output.table, table)
    gain_curves(snakemake.output.figure, table, params.points)
    with atomic_write(snakemake.output.page) as temporary:
        temporary.write_text(study_page(params.title, table, bootstrap["samples"]), encoding="utf-8")
