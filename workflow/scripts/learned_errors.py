"""Rule learned_errors: what static background errors have learned of where errors are large."""

from lora_envar.runtime.step import device, step

with step(snakemake) as clock:
    with clock.imports():
        import pandas as pd
        import torch
        from lora_envar.background import sampling
        from lora_envar.background.training_set import TrainingSet
        from lora_envar.fields.grid import Grid
        from lora_envar.fields.regridding import regridder
        from lora_envar.fields.timeline import parse
        from lora_envar.files.state_file import Archive, StateFile
        from lora_envar.files.tables import write_table
        from lora_envar.verification.figures import learned_errors
        from lora_envar.verification.gates import judged_models
        from lora_envar.verification.learned import NMC, Comparison, control, describe, table_of

    samples = TrainingSet(snakemake.input.samples)
    _, held_out = samples.split(snakemake.params.held_out)
    grid = Grid.from_settings(snakemake.params.error_grid)

    def errors_of_cycles(files):
        archive = Archive(snakemake.input.archive)
        to_error_grid = regridder(archive.grid, grid)
        for path, time in files.items():
            valid = parse(time)
            error = StateFile(path).read(valid) - archive.read(valid)
            yield to_error_grid(torch.from_numpy(error)[None])[0]

    comparisons = [control(samples, held_out)]
    held_out_errors = comparisons[0].errors
    models = judged_models(snakemake.params.judged, parse(snakemake.params.first), grid, device())
    for name, model in models.items():
        drawn = describe(sampling.draw(model, len(held_out), snakemake.params.seed).cpu(), grid)
        comparisons.append(Comparison(name, NMC, drawn, held_out_errors))
        for experiment, files in snakemake.params.cycled[name].items():
            found = describe(torch.stack(list(errors_of_cycles(files))), grid)
            comparisons.append(Comparison(name, experiment, drawn, found))
    write_table(snakemake.output.table, table_of(comparisons))
    learned_errors(snakemake.output.figure, comparisons, pd.read_csv(snakemake.input.coastline))
