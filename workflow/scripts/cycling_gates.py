"""Rule cycling_gates: the cycled experiments against their gates."""

from lora_envar.runtime.step import step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.files.atomic import atomic_write
        from lora_envar.verification.gates import cycling_gates
        from lora_envar.verification.score import read_scores

    scores = read_scores(snakemake.input.scores)
    gates = cycling_gates(scores, snakemake.params.methods, snakemake.params.spin_up, snakemake.input.observations)
    with atomic_write(snakemake.output[0]) as temporary:
        gates.table().to_csv(temporary, index=False, float_format="%.5g")
