"""Rule cycling_gates: the cycled experiments against their gates."""

from lora_envar.runtime.step import step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.files.tables import write_table
        from lora_envar.verification.cycling_gates import cycling_gates
        from lora_envar.verification.diagnostics import read_diagnostics
        from lora_envar.verification.score import read_scores

    scores = read_scores(snakemake.input.scores)
    diagnostics = read_diagnostics(snakemake.input.diagnostics)
    gates = cycling_gates(scores, snakemake.params.methods, snakemake.params.first_scored, diagnostics)
    write_table(snakemake.output[0], gates.table(), digits=5)
