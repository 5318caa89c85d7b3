rule medium_range_forecast:
    input:
        analysis="results/{experiment}/{time}/analysis.nc",
        before=lambda wildcards: analysis_before(wildcards.experiment, wildcards.time),
        model=present(*model_files(config["forecast_model"])),
    output:
        kept("results/{experiment}/{time}/forecast.nc"),
    log:
        "logs/medium_range_forecast/{experiment}/{time}.log",
    benchmark:
        "benchmarks/medium_range_forecast/{experiment}/{time}.tsv"
    group:
        "medium_range_forecasts"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=60,
        gpu=1,
        gpu_model="a100",
    params:
        model=config["forecast_model"],
        lead_hours=config["verification"].get("forecast", {}).get("lead_hours", []),
        brought=digests(model_files(config["forecast_model"])),
    script:
        "../scripts/medium_range_forecast.py"


# In blocks, so that backgrounds and forecasts which are not kept go long before the experiment ends.
rule score:
    input:
        unpack(scored_files),
    output:
        "results/{experiment}/scores/{block}.csv",
    log:
        "logs/score/{experiment}/{block}.log",
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
    input:
        scores_of(COMPARED),
    output:
        report(
            "results/scores.csv",
            caption="../report/scores.rst",
            category="Scores",
        ),
    log:
        "logs/collect_scores.log",
    benchmark:
        "benchmarks/collect_scores.tsv"
    conda:
        "../../envs/verification.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    script:
        "../scripts/collect_scores.py"


rule compare:
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
        spin_up=first_scored_cycles(),
    script:
        "../scripts/compare.py"


rule model_gates:
    input:
        archive=archive_files(
            FIRST_CYCLE - timedelta(hours=FRAME_HOURS), archive_end(FIRST_CYCLE)
        ),
        climatology="results/archive/climatology.nc",
        samples="results/background/nmc_training_set.nc",
        genbe="results/background/genbe.safetensors",
        gaussian="results/background/gaussian.safetensors",
        vae="results/background/vae.safetensors",
        residual="results/background/residual.safetensors",
        model=present(*model_files(config["forecast_model"])),
    output:
        gates="results/model_gates.csv",
        forecast="results/forecast_model.csv",
    log:
        "logs/model_gates.log",
    benchmark:
        "benchmarks/model_gates.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=120,
        gpu=1,
        gpu_model="a100",
    params:
        model=config["forecast_model"],
        held_out=config["nmc"]["held_out"],
        error_grid=config["error_grid"],
        first=time_name(FIRST_CYCLE),
        seed=config["vae"]["training"]["seed"],
        brought=digests(model_files(config["forecast_model"])),
    script:
        "../scripts/model_gates.py"


rule cycling_gates:
    input:
        scores="results/scores.csv",
        observations=analysed_tables(),
    output:
        "results/cycling_gates.csv",
    log:
        "logs/cycling_gates.log",
    benchmark:
        "benchmarks/cycling_gates.tsv"
    conda:
        "../../envs/verification.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        methods={name: entry["method"] for name, entry in COMPARED.items()},
        spin_up=first_scored_cycles(),
    script:
        "../scripts/cycling_gates.py"


rule draw_maps:
    input:
        archive=archive_files(period(SHOWN)[1], period(SHOWN)[1]),
        background=f"results/{SHOWN}/{cycles(SHOWN)[-1]}/background.nc",
        analysis=f"results/{SHOWN}/{cycles(SHOWN)[-1]}/analysis.nc",
        observations=f"results/{SHOWN}/{cycles(SHOWN)[-1]}/observations.nc",
        coastline="resources/coastline.csv",
    output:
        report(
            "results/figures/maps.png",
            caption="../report/maps.rst",
            category="Figures",
        ),
    log:
        "logs/draw_maps.log",
    benchmark:
        "benchmarks/draw_maps.tsv"
    conda:
        "../../envs/verification.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        experiment=SHOWN,
        time=cycles(SHOWN)[-1],
    script:
        "../scripts/draw_maps.py"


rule write_report:
    input:
        scores="results/scores.csv",
        comparison="results/comparison.csv",
        model_gates="results/model_gates.csv",
        cycling_gates="results/cycling_gates.csv",
        forecast="results/forecast_model.csv",
        maps="results/figures/maps.png",
        fits=FITS,
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
        experiment=SHOWN,
        time=cycles(SHOWN)[-1],
        spin_up=first_scored_cycles(),
        benchmarks="benchmarks",
        logs="logs",
    script:
        "../scripts/write_report.py"


rule write_results:
    input:
        scores="results/scores.csv",
        comparison="results/comparison.csv",
        observations=analysed_tables(),
        ensembles=expand("results/{experiment}/ensemble.csv", experiment=DIAGNOSED),
        fits=FITS,
    output:
        "results/results.md",
    log:
        "logs/write_results.log",
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
        experiments=[e for e in COMPARED if method_of(e).background_error],
        spin_up=first_scored_cycles(),
    script:
        "../scripts/write_results.py"
