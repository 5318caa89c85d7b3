"""Rule write_results: the comparison as a page of Markdown."""

from lora_envar.runtime.step import step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.files.atomic import atomic_write
        from lora_envar.files.tables import read_table
        from lora_envar.verification import ABOUT_SIGNIFICANCE, costs
        from lora_envar.verification.diagnostics import assimilated, read_diagnostics
        from lora_envar.verification.means import mean_errors
        from lora_envar.verification.observation_fit import shown
        from lora_envar.verification.results import cost, ensembles, nothing_to_compare, page, table_sections
        from lora_envar.verification.score import read_scores

    first_scored = snakemake.params.first_scored
    comparison = read_table(snakemake.input.comparison, dtype={"level": "Int64"})
    scores = read_scores(snakemake.input.scores)
    analyses = assimilated(read_diagnostics(snakemake.input.diagnostics), snakemake.params.methods)
    about = [
        ABOUT_SIGNIFICANCE if len(comparison) else nothing_to_compare(snakemake.params.references),
        f"Made by the rule `write_results` from `{snakemake.input.comparison}`; seconds are of the machine it ran on.",
    ]
    if len(comparison) and comparison.seeds.max() > 1:
        about.insert(0, f"{int(comparison.seeds.max())} seeds at most, averaged cycle by cycle.")
    text = page(
        snakemake.params.title,
        mean_errors(scores, first_scored),
        comparison,
        cost(analyses, snakemake.params.filters, snakemake.params.benchmarks),
        about,
        ensembles(snakemake.input.ensembles, first_scored),
    )
    if snakemake.input.fits:
        text += table_sections(shown(*map(read_table, snakemake.input.fits)))
    text += table_sections(costs.shown(costs.read_costs(snakemake.params.benchmarks, snakemake.params.logs)))
    with atomic_write(snakemake.output[0]) as temporary:
        temporary.write_text(text, encoding="utf-8")
