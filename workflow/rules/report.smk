rule draw_maps:
    """The last cycle of the richest method as maps."""
    input:
        unpack(lambda wildcards: plan.verification.shown_files()),
        coastline="resources/coastline.csv",
    output:
        figure("maps"),
    log:
        "logs/draw_maps.log",
        timings="logs/draw_maps.timings.tsv",
    benchmark:
        "benchmarks/draw_maps.tsv"
    conda:
        "../../envs/verification.yaml"
    threads: 1
    resources:
        mem_mb=6000,
        runtime=30,
    params:
        experiment=plan.verification.shown.name,
        time=plan.verification.shown.cycles[-1],
    script:
        "../scripts/draw_maps.py"


rule draw_amplitudes:
    """The variances of experiments that calibrate themselves, over time, as a table and a figure."""
    input:
        [path for paths in plan.verification.amplitudes().values() for path in paths],
    output:
        table="results/amplitudes.csv",
        figure=figure("amplitudes"),
    log:
        "logs/draw_amplitudes.log",
        timings="logs/draw_amplitudes.timings.tsv",
    benchmark:
        "benchmarks/draw_amplitudes.tsv"
    conda:
        "../../envs/verification.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        files=plan.verification.amplitudes(),
    script:
        "../scripts/draw_amplitudes.py"


rule write_report:
    """One page with everything that is needed to judge the experiments."""
    input:
        scores="results/scores.csv",
        comparison="results/comparison.csv",
        lead_time="results/lead_time.csv",
        model_gates="results/model_gates.csv",
        cycling_gates="results/cycling_gates.csv",
        forecast="results/forecast_model.csv",
        learned="results/learned_errors.csv",
        diagnostics=plan.verification.diagnostics[:1],
        fits=plan.verification.diagnostics[1:],
        relative_errors="results/figures/relative_errors.svg",
        profiles="results/figures/profiles.svg",
        spectra="results/figures/spectra.svg",
        cards=plan.verification.scorecards("svg"),
        singles=plan.verification.single.figures,
        maps="results/figures/maps.png",
        diagnostic_figures=plan.verification.diagnostic_figures,
        ensembles=plan.verification.ensemble_files,
        spreads=plan.verification.spread.files,
        amplitudes=plan.verification.amplitude_figures,
        learned_figure="results/figures/learned_errors.png",
        learning=plan.learning_figures,
        denials=plan.verification.denials,
    output:
        report(
            "results/report.html",
            caption="../report/report.rst",
            category="Report",
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
        about=plan.verification.about(config),
        benchmarks="benchmarks",
        logs="logs",
    script:
        "../scripts/write_report.py"


rule write_results:
    """The comparison as a page of Markdown."""
    input:
        scores="results/scores.csv",
        comparison="results/comparison.csv",
        diagnostics=plan.verification.diagnostics[:1],
        ensembles=plan.verification.of_diagnosed("ensemble.csv"),
        fits=plan.verification.diagnostics[1:],
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
        methods=plan.methods,
        filters=plan.verification.filters(),
        first_scored=plan.verification.first_scored_cycles(),
    script:
        "../scripts/write_results.py"
