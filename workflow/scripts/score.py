"""Rule score: scores and spectra of an experiment's analyses, backgrounds and forecasts against the archive."""

from lora_envar.runtime.step import step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.fields.timeline import parse
        from lora_envar.files.state_file import Archive, StateFile
        from lora_envar.files.tables import write_table
        from lora_envar.verification.score import read_climatology, score_all
        from lora_envar.verification.spectra import of_cycles

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
    experiment = snakemake.wildcards.experiment
    climatology = read_climatology(snakemake.input.climatology, truth.grid)
    write_table(snakemake.output.scores, score_all(experiment, entries, truth.grid, climatology))

    first = parse(snakemake.params.first_scored)
    by_kind = {kind: [file for other, file in files if other == kind] for kind, _ in files}
    cycles = (
        (analysis.read(time), background.read(time), truth.read(time))
        for analysis, background in zip(by_kind["analysis"], by_kind["background"], strict=True)
        for time in analysis.times
        if time >= first
    )
    forecasts = (
        (lead, file.read(time), truth.read(time))
        for file in by_kind.get("forecast", [])
        for time, lead in zip(file.times, file.leads, strict=True)
    )
    write_table(snakemake.output.spectra, of_cycles(experiment, cycles, forecasts, truth.grid))
