"""Rule ensemble_diagnostics: what the ensembles of an experiment know of its background's error."""

from lora_envar.runtime.step import step

with step(snakemake) as clock:
    with clock.imports():
        import torch
        from lora_envar.background.ensemble import read_cycled_members, read_members
        from lora_envar.background.training_set import TrainingSet
        from lora_envar.fields.regridding import regridder
        from lora_envar.fields.timeline import parse
        from lora_envar.files.state_file import Archive, StateFile
        from lora_envar.files.tables import write_table
        from lora_envar.verification.ensemble import diagnose, read_once
        from lora_envar.verification.ensemble_scores import EnsembleScores

    archive = Archive(snakemake.input.archive)
    samples = TrainingSet(snakemake.input.samples)
    to_error_grid = regridder(archive.grid, samples.grid)
    members = snakemake.params.members
    last_year = snakemake.params.last_year
    times = list(members)
    first = parse(snakemake.params.first_scored)
    scores = EnsembleScores(samples.grid)

    @read_once(len(times), samples.grid)
    def ensemble(time):
        if snakemake.params.cycled:
            return read_cycled_members(*members[time], parse(time), samples.grid)
        return read_members(members[time], parse(time), last_year[time])

    def cycles():
        for index, (time, path) in enumerate(zip(times, snakemake.input.backgrounds, strict=True)):
            valid = parse(time)
            other = times[(index + len(times) // 2) % len(times)]
            background = to_error_grid(torch.from_numpy(StateFile(path).read(valid))[None])[0]
            truth = to_error_grid(torch.from_numpy(archive.read(valid))[None])[0]
            own = ensemble(time)
            if valid >= first:
                scores.add(own.numpy(), truth.numpy())
            yield valid, background, truth, own, ensemble(other)

    experiment = snakemake.wildcards.experiment
    table = diagnose(experiment, cycles(), torch.as_tensor(samples.deviation), samples.grid)
    write_table(snakemake.output.spanned, table)
    write_table(snakemake.output.scores, scores.table().assign(experiment=experiment))
    write_table(snakemake.output.ranks, scores.ranks().assign(experiment=experiment))
