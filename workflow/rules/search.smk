if plan.experiments.candidates:

    rule search:
        """The best settings of every method, among candidates that are cycled over a period of their own."""
        input:
            plan.verification.scores(plan.experiments.candidates),
        output:
            table="results/search/candidates.csv",
            chosen="results/search/settings.yaml",
        log:
            "logs/search.log",
            timings="logs/search.timings.tsv",
        benchmark:
            "benchmarks/search.tsv"
        conda:
            "../../envs/verification.yaml"
        threads: 1
        resources:
            mem_mb=4000,
            runtime=30,
        params:
            candidates={
                experiment.name: experiment.entry
                for experiment in plan.experiments.candidates
            },
            first_scored=plan.verification.first_judged_cycles(),
        script:
            "../scripts/search.py"
