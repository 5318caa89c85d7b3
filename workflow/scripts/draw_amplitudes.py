"""Rule draw_amplitudes: how the variances of the experiments that calibrate themselves went."""

from lora_envar.runtime.step import step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.files.tables import write_table
        from lora_envar.verification.amplitudes import course
        from lora_envar.verification.figures import amplitude_curves

    table = course(snakemake.params.files)
    write_table(snakemake.output.table, table)
    amplitude_curves(snakemake.output.figure, table)
