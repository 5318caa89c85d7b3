"""Rule model_gates: the forecast model and the background errors against their gates."""

from lora_envar.runtime.step import device, step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.background.training_set import TrainingSet
        from lora_envar.background.vae import VAE
        from lora_envar.fields.grid import Grid
        from lora_envar.fields.timeline import parse
        from lora_envar.files.state_file import Archive, read_per_channel
        from lora_envar.files.tables import read_table, write_table
        from lora_envar.forecast import load_model
        from lora_envar.verification.gates import background_error_gates, forecast_gates, judged_models

    archive = Archive(snakemake.input.archive)
    model = load_model(**snakemake.params.model, device=device())
    deviation = read_per_channel(snakemake.input.climatology, "anomaly_standard_deviation")
    errors = read_table(snakemake.input.forecast)
    grid = Grid.from_settings(snakemake.params.error_grid)
    samples = TrainingSet(snakemake.input.samples)
    _, held_out = samples.split(snakemake.params.held_out)
    models = judged_models(snakemake.params.judged, parse(snakemake.params.first), grid, device())
    vaes = {name: VAE.load(path, device()) for name, path in snakemake.params.vaes.items()}
    gates = forecast_gates(model, archive, errors, deviation, snakemake.params.seed)
    gates += background_error_gates(models, vaes, samples, held_out, snakemake.params.seed)
    write_table(snakemake.output[0], gates.table(), digits=5)
