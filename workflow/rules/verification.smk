rule medium_range_forecast:
    """A forecast from an analysis, at the configured leads."""
    input:
        unpack(
            lambda wildcards: plan.medium_range_inputs(
                wildcards.experiment, wildcards.time
            )
        ),
        model=model_input(*plan.model_files),
    output:
        kept("results/{experiment}/{time}/forecast.nc"),
    log:
        "logs/medium_range_forecast/{experiment}/{time}.log",
        timings="logs/medium_range_forecast/{experiment}/{time}.timings.tsv",
    benchmark:
        "benchmarks/medium_range_forecast/{experiment}/{time}.tsv"
    group:
        "medium_range_forecasts"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        **A100,
        mem_mb=8000,
        runtime=60,
    params:
        model=config["forecast_model"],
        lead_hours=plan.verification.lead_hours,
        brought=digests(plan.model_files.brought),
    script:
        "../scripts/medium_range_forecast.py"


rule score:
    """Scores of one block of an experiment's cycles, so that files that are not kept go before the experiment ends."""
    input:
        unpack(
            lambda wildcards: plan.verification.scored_files(
                wildcards.experiment, wildcards.block
            )
        ),
        climatology="results/archive/climatology.nc",
    output:
        scores="results/{experiment}/scores/{block}.csv",
        spectra="results/{experiment}/spectra/{block}.csv",
    log:
        "logs/score/{experiment}/{block}.log",
        timings="logs/score/{experiment}/{block}.timings.tsv",
    benchmark:
        "benchmarks/score/{experiment}/{block}.tsv"
    conda:
        "../../envs/verification.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        first_scored=lambda wildcards: plan.verification.first_scored(
            wildcards.experiment
        ),
    script:
        "../scripts/score.py"


rule collect_spectra:
    """Mean spectra of all experiments in one table, and the figure."""
    input:
        plan.verification.spectra(),
    output:
        table="results/spectra.csv",
        figure=figure("spectra"),
    log:
        "logs/collect_spectra.log",
        timings="logs/collect_spectra.timings.tsv",
    benchmark:
        "benchmarks/collect_spectra.tsv"
    conda:
        "../../envs/verification.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        references=plan.verification.own_references,
    script:
        "../scripts/collect_spectra.py"


rule collect_scores:
    """The scores of all experiments in one table."""
    input:
        plan.verification.scores(plan.experiments.compared),
    output:
        report(
            "results/scores.csv",
            caption="../report/scores.rst",
            category="Scores",
        ),
    log:
        "logs/collect_scores.log",
        timings="logs/collect_scores.timings.tsv",
    benchmark:
        "benchmarks/collect_scores.tsv"
    localrule: True
    conda:
        "../../envs/verification.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    script:
        "../scripts/collect_scores.py"


rule compare:
    """Differences between experiments after the spin-up, their significance, and the lead time gained."""
    input:
        "results/scores.csv",
    output:
        comparison=report(
            "results/comparison.csv",
            caption="../report/comparison.rst",
            category="Scores",
        ),
        lead_time="results/lead_time.csv",
        over_time="results/relative_errors.csv",
        relative_errors=figure("relative_errors"),
        profiles=figure("profiles"),
        denials=plan.verification.denials,
    log:
        "logs/compare.log",
        timings="logs/compare.timings.tsv",
    benchmark:
        "benchmarks/compare.tsv"
    conda:
        "../../envs/verification.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        references=config["verification"]["references"],
        own_references=plan.verification.own_references,
        networks=plan.verification.networks(),
        denied=plan.verification.denied(),
        bootstrap=config["verification"]["bootstrap"],
        first_scored=plan.verification.first_scored_cycles(),
    script:
        "../scripts/compare.py"


rule scorecard:
    """How two experiments differ by variable, level, lead and region; for any pair on the same observations."""
    input:
        lambda wildcards: plan.verification.scores_of_pair(
            wildcards.first, wildcards.second
        ),
    output:
        table="results/scorecards/{first}_against_{second}.csv",
        figure=[
            report(
                "results/scorecards/{first}_against_{second}.svg",
                caption="../report/scorecard.rst",
                category="Scorecards",
            ),
            "results/scorecards/{first}_against_{second}.png",
        ],
    log:
        "logs/scorecard/{first}_against_{second}.log",
        timings="logs/scorecard/{first}_against_{second}.timings.tsv",
    benchmark:
        "benchmarks/scorecard/{first}_against_{second}.tsv"
    wildcard_constraints:
        first=any_of(plan.verification.families),
        second=any_of(plan.verification.families),
    conda:
        "../../envs/verification.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        bootstrap=config["verification"]["bootstrap"],
        first_scored=plan.verification.first_scored_cycles(),
    script:
        "../scripts/scorecard.py"
