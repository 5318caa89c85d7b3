# Settings are searched for apart from testing: `snakemake --cores 2 search` cycles the candidates of section `search` on
# a period of their own. The values chosen are a file: name it by the key `found_settings`, and all experiments use it.
if CANDIDATES:

    rule search:
        input:
            scores_of(CANDIDATES),
        output:
            table="results/search/candidates.csv",
            chosen="results/search/settings.yaml",
        log:
            "logs/search.log",
        benchmark:
            "benchmarks/search.tsv"
        conda:
            "../../envs/verification.yaml"
        threads: 1
        resources:
            mem_mb=4000,
            runtime=30,
        params:
            candidates=CANDIDATES,
            spin_up={
                name: cycles(name)[config["search"]["spin_up_cycles"]]
                for name in CANDIDATES
            },
        script:
            "../scripts/search.py"
