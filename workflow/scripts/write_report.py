"""Rule write_report: figures and one self-contained page."""

from lora_envar.script import step

with step(snakemake):
    from lora_envar.observations.table import read_observations
    from lora_envar.state_file import Archive, read_state
    from lora_envar.timeline import parse
    from lora_envar.verification.costs import read_costs
    from lora_envar.verification.report import Case, Tables, write_report

    time = parse(snakemake.params.time)
    archive = Archive(snakemake.input.archive)
    case = Case(
        snakemake.params.shown,
        time,
        archive.grid,
        archive.read(time),
        read_state(snakemake.input.background),
        read_state(snakemake.input.analysis),
        read_observations(snakemake.input.observations),
    )
    write_report(
        snakemake.output,
        snakemake.params.config,
        Tables.read(snakemake.input, snakemake.params.spin_up),
        case,
        snakemake.input.coastline,
        read_costs(snakemake.params.benchmarks, snakemake.params.logs),
    )
