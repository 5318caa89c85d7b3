"""Rule ensemble_diagnostics: what the ensembles of an experiment know of its background's error."""

from lora_envar.runtime.step import step

with step(snakemake):
    import torch
    from lora_envar.background.ensemble import read_members
    from lora_envar.background.training_set import TrainingSet
    from lora_envar.fields.regridding import regridder
    from lora_envar.fields.timeline import parse
    from lora_envar.files.atomic import atomic_write
    from lora_envar.files.state_file import Archive, StateFile
    from lora_envar.verification.ensemble import diagnose

    archive, samples = Archive(snakemake.input.archive), TrainingSet(snakemake.input.samples)
    to_error_grid = regridder(archive.grid, samples.grid)
    times, members, last_year = list(snakemake.params.members), snakemake.params.members, snakemake.params.last_year

    def ensemble(time):
        return read_members(members[time], parse(time), last_year[time])

    def cycles():
        for index, (time, path) in enumerate(zip(times, snakemake.input.backgrounds, strict=True)):
            valid, other = parse(time), times[(index + len(times) // 2) % len(times)]
            states = (StateFile(path).read(valid), archive.read(valid))
            background, truth = (to_error_grid(torch.from_numpy(state)[None])[0] for state in states)
            yield valid, background, truth, ensemble(time), ensemble(other)

    table = diagnose(snakemake.wildcards.experiment, cycles(), torch.as_tensor(samples.deviation), samples.grid)
    with atomic_write(snakemake.output[0]) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")
