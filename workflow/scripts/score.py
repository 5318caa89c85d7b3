"""Rule score: scores of an experiment's analyses, backgrounds and forecasts against the archive."""

from lora_envar.runtime.step import step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.files.state_file import Archive, StateFile
        from lora_envar.files.tables import write_table
        from lora_envar.verification.score import score_all

    truth = Archive(snakemake.input.archive)
    files = [
        (kind, StateFile(path))
        for kind, paths in (
            ("analysis", snakemake.input.analyses),
            ("background", snakemake.input.backgrounds),
            ("forecast", snakemake.input.forecasts),
        )
        for path in paths
    ]

    entries = (
        (time, kind, lead, file.read(time), truth.read(time))
        for kind, file in files
        for time, lead in zip(file.times, file.leads, strict=True)
    )
    table = score_all(snakemake.wildcards.experiment, entries, truth.grid)
    write_table(snakemake.output[0], table)
