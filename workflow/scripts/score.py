"""Rule score: scores of an experiment's analyses, backgrounds and forecasts against the archive."""

from lora_envar.runtime.step import step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.fields.timeline import parse
        from lora_envar.files.atomic import atomic_write
        from lora_envar.files.state_file import Archive, StateFile
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

    def lead(kind, file, time):
        start = parse(file.path.parent.name)  # the analysis time
        return int((time - start).total_seconds()) // 3600 if kind == "forecast" else 0

    entries = (
        (time, kind, lead(kind, file, time), file.read(time), truth.read(time))
        for kind, file in files
        for time in file.times
    )
    table = score_all(snakemake.wildcards.experiment, entries, truth.grid)
    with atomic_write(snakemake.output[0]) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")
