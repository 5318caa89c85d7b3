"""Rule write_results: the comparison as a page of Markdown."""

from lora_envar.script import step

with step(snakemake):
    from lora_envar.files import whole
    from lora_envar.replicates import grouped
    from lora_envar.tables import read_table
    from lora_envar.verification import costs
    from lora_envar.verification.observation_fit import shown
    from lora_envar.verification.report import mean_errors
    from lora_envar.verification.results import cost, ensembles, page, table_sections
    from lora_envar.verification.score import after_spin_up, read_scores

    spin_up, experiments = snakemake.params.spin_up, snakemake.params.experiments
    comparison = read_table(snakemake.input.comparison, dtype={"level": "Int64"})
    scores = read_scores(snakemake.input.scores)
    errors = mean_errors(scores, spin_up).drop(columns="unit")
    analyses = grouped(after_spin_up(scores[scores.kind == "analysis"], spin_up))
    seeds = int(comparison.seeds.max())
    about = [
        f"{int(comparison.n.max())} cycles after the spin-up; {seeds} seed{'s' if seeds > 1 else ''} at most.",
        "Differences of the mean RMSE in percent of the reference's, with 95 % intervals of a moving-block bootstrap;",
        "bold where p < 0.01.",
        f"Made by the rule `write_results` from `{snakemake.input.comparison}`; seconds are of the machine it ran on.",
    ]
    text = page(
        snakemake.params.title,
        errors,
        analyses.groupby("experiment").valid_time.nunique(),
        comparison,
        cost(experiments, snakemake.input.observations, snakemake.params.benchmarks),
        about,
        ensembles(snakemake.input.ensembles, spin_up),
    )
    if snakemake.input.fits:
        text += table_sections(shown(*map(read_table, snakemake.input.fits)))
    text += table_sections(costs.shown(costs.read_costs(snakemake.params.benchmarks, snakemake.params.logs)))
    with whole(snakemake.output[0]) as temporary:
        temporary.write_text(text, encoding="utf-8")
