rule medium_range_forecast:
    """A forecast from an analysis, at the configured leads."""
    input:
        unpack(
            lambda wildcards: plan.medium_range_inputs(
                wildcards.experiment, wildcards.time
            )
        ),
        model=present(*plan.model_files),
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
        brought=digests(plan.model_files),
    script:
        "../scripts/medium_range_forecast.py"


rule score:
    """Scores of a block of an experiment's cycles: in blocks, so that what is not kept goes before the experiment ends."""
    input:
        unpack(
            lambda wildcards: plan.verification.scored_files(
                wildcards.experiment, wildcards.block
            )
        ),
    output:
        "results/{experiment}/scores/{block}.csv",
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
    script:
        "../scripts/score.py"


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
    """Differences between experiments after the spin-up, and their significance."""
    input:
        "results/scores.csv",
    output:
        report(
            "results/comparison.csv",
            caption="../report/comparison.rst",
            category="Scores",
        ),
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
        bootstrap=config["verification"]["bootstrap"],
        first_scored=plan.verification.first_scored_cycles(),
    script:
        "../scripts/compare.py"


rule model_gates:
    """Whether forecast model and background errors are fit to be cycled."""
    input:
        unpack(lambda wildcards: plan.verification.judged_files()),
        archive=plan.verification.gate_files(),
        climatology="results/archive/climatology.nc",
        samples="results/background/nmc_training_set.nc",
        model=present(*plan.model_files),
    output:
        gates="results/model_gates.csv",
        forecast="results/forecast_model.csv",
    log:
        "logs/model_gates.log",
        timings="logs/model_gates.timings.tsv",
    benchmark:
        "benchmarks/model_gates.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        **A100,
        mem_mb=8000,
        runtime=120,
    params:
        model=config["forecast_model"],
        held_out=config["nmc"]["held_out"],
        error_grid=config["error_grid"],
        methods=plan.verification.judged_methods,
        first=plan.verification.first_cycle_name,
        seed=config["vae"]["training"]["seed"],
        brought=digests(plan.model_files),
    script:
        "../scripts/model_gates.py"


rule cycling_gates:
    """Whether the cycled experiments pass their gates."""
    input:
        scores="results/scores.csv",
        observations=plan.verification.scored_table_files(),
    output:
        "results/cycling_gates.csv",
    log:
        "logs/cycling_gates.log",
        timings="logs/cycling_gates.timings.tsv",
    benchmark:
        "benchmarks/cycling_gates.tsv"
    conda:
        "../../envs/verification.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        methods=plan.methods,
        tables=plan.verification.scored_tables(),
        first_scored=plan.verification.first_scored_cycles(),
    script:
        "../scripts/cycling_gates.py"


rule draw_maps:
    """The last cycle of the richest method as maps."""
    input:
        unpack(lambda wildcards: plan.verification.shown_files()),
        coastline="resources/coastline.csv",
    output:
        report(
            "results/figures/maps.png",
            caption="../report/maps.rst",
            category="Figures",
        ),
    log:
        "logs/draw_maps.log",
        timings="logs/draw_maps.timings.tsv",
    benchmark:
        "benchmarks/draw_maps.tsv"
    conda:
        "../../envs/verification.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        experiment=plan.verification.shown.name,
        time=plan.verification.shown.cycles[-1],
    script:
        "../scripts/draw_maps.py"


rule write_report:
    """One page with all that is needed to judge the experiments, and their error curves."""
    input:
        scores="results/scores.csv",
        comparison="results/comparison.csv",
        model_gates="results/model_gates.csv",
        cycling_gates="results/cycling_gates.csv",
        forecast="results/forecast_model.csv",
        maps="results/figures/maps.png",
        fits=plan.verification.fits,
    output:
        html=report(
            "results/report.html",
            caption="../report/report.rst",
            category="Report",
        ),
        curves=report(
            "results/figures/error_curves.png",
            caption="../report/error_curves.rst",
            category="Figures",
        ),
    log:
        "logs/write_report.log",
        timings="logs/write_report.timings.tsv",
    benchmark:
        "benchmarks/write_report.tsv"
    conda:
        "../../envs/verification.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        config=config,
        experiment=plan.verification.shown.name,
        time=plan.verification.shown.cycles[-1],
        first_scored=plan.verification.first_scored_cycles(),
        benchmarks="benchmarks",
        logs="logs",
    script:
        "../scripts/write_report.py"


rule write_results:
    """The comparison as a page of Markdown."""
    input:
        scores="results/scores.csv",
        comparison="results/comparison.csv",
        observations=plan.verification.analysed_table_files(),
        ensembles=plan.verification.ensemble_tables(),
        fits=plan.verification.fits,
    output:
        "results/results.md",
    log:
        "logs/write_results.log",
        timings="logs/write_results.timings.tsv",
    benchmark:
        "benchmarks/write_results.tsv"
    conda:
        "../../envs/verification.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        title=config["verification"].get("title", "Results"),
        benchmarks="benchmarks",
        logs="logs",
        references=config["verification"]["references"],
        tables=plan.verification.analysed_tables(),
        first_scored=plan.verification.first_scored_cycles(),
    script:
        "../scripts/write_results.py"
