"""Rule write_report: one self-contained page."""

from lora_envar.runtime.step import step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.verification.costs import read_costs
        from lora_envar.verification.report import About, write_report

    write_report(
        snakemake.output[0],
        dict(snakemake.input.items()),
        About(**snakemake.params.about),
        read_costs(snakemake.params.benchmarks, snakemake.params.logs),
    )
