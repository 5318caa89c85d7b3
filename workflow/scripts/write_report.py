"""Rule write_report: the error curves, and one self-contained page."""

from lora_envar.runtime.step import step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.verification.costs import read_costs
        from lora_envar.verification.report import Tables, write_report

    write_report(
        snakemake.output,
        snakemake.params.config,
        Tables.read(snakemake.input, snakemake.params.first_scored),
        [snakemake.input.maps, snakemake.input.learned_figure, *snakemake.input.amplitudes],
        (snakemake.params.experiment, snakemake.params.time),
        read_costs(snakemake.params.benchmarks, snakemake.params.logs),
    )
