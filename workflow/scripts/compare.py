"""Rule compare: differences between experiments after the spin-up, and their significance, as tables and figures."""

from lora_envar.runtime.step import step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.files.tables import write_table
        from lora_envar.verification.curves import profiles, relative_errors
        from lora_envar.verification.denials import denials
        from lora_envar.verification.lead_time import lead_times
        from lora_envar.verification.score import after_spin_up, read_scores
        from lora_envar.verification.significance import compare

    scores = read_scores(snakemake.input[0])
    params = snakemake.params
    bootstrap = params.bootstrap["samples"], params.bootstrap["seed"]
    first = params.first_scored
    table = compare(after_spin_up(scores, first), params.references, *bootstrap, params.networks)
    write_table(snakemake.output.comparison, table)
    own = params.own_references
    write_table(snakemake.output.lead_time, lead_times(scores, own, first, *bootstrap))
    over_time = relative_errors(snakemake.output.relative_errors, scores, table, own, first)
    write_table(snakemake.output.over_time, over_time)
    profiles(snakemake.output.profiles, table, own)
    for path in snakemake.output.denials:
        write_table(path, denials(table, params.denied, own))
