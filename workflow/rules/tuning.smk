# Tuning apart from testing: `snakemake --cores 2 tune` cycles the candidates of section `tuning` on their own period. The
# values chosen are a file: name it by the key `tuned_settings`, and all experiments use it.
if CANDIDATES:

    rule tune:
        input:
            scores_of(CANDIDATES),
        output:
            table="results/tuning/candidates.csv",
            chosen="results/tuning/settings.yaml",
        log:
            "logs/tune.log",
        benchmark:
            "benchmarks/tune.tsv"
        conda:
            "../../envs/verification.yaml"
        threads: 1
        resources:
            mem_mb=4000,
            runtime=30,
        params:
            candidates=CANDIDATES,
            spin_up={
                name: cycles(name)[config["tuning"]["spin_up_cycles"]]
                for name in CANDIDATES
            },
        script:
            "../scripts/tune.py"
