if plan.verification.study:

    rule study:
        """What methods gain over references by the number of observed columns, in several worlds, each with its own run."""
        input:
            plan.verification.study.scores,
        output:
            table="results/study.csv",
            page="results/study.md",
            figure=report(
                "results/figures/study.png",
                caption="../report/study.rst",
                category="Figures",
            ),
        log:
            "logs/study.log",
            timings="logs/study.timings.tsv",
        benchmark:
            "benchmarks/study.tsv"
        conda:
            "../../envs/verification.yaml"
        threads: 1
        resources:
            mem_mb=8000,
            runtime=60,
        params:
            title=config["verification"].get("title", "Study"),
            worlds=plan.verification.study.worlds,
            members=plan.verification.study.members,
            references=plan.verification.study.references,
            points=plan.verification.study.points,
            bootstrap=config["verification"]["bootstrap"],
            first_scored=plan.verification.first_scored_cycles(),
        script:
            "../scripts/study.py"
