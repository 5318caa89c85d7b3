"""Rule model_gates: the forecast model and the background errors against their gates."""

from lora_envar.runtime.step import device, step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.background.training_set import TrainingSet
        from lora_envar.background.vae import VAE
        from lora_envar.fields.grid import Grid
        from lora_envar.fields.timeline import parse
        from lora_envar.files.state_file import Archive, read_per_channel
        from lora_envar.files.tables import write_table
        from lora_envar.forecast import load_model
        from lora_envar.verification.gates import background_error_gates, forecast_errors, forecast_gates, judged_models
        from lora_envar.verification.score import read_climatology

    archive = Archive(snakemake.input.archive)
    model = load_model(**snakemake.params.model, device=device())
    mean = read_climatology(snakemake.input.climatology, archive.grid)
    deviation = read_per_channel(snakemake.input.climatology, "anomaly_standard_deviation")
    rollout_hours = snakemake.params.rollout_hours
    errors = forecast_errors(model, archive, parse(snakemake.params.first), mean, rollout_hours)
    grid = Grid.from_settings(snakemake.params.error_grid)
    samples = TrainingSet(snakemake.input.samples)
    _, held_out = samples.split(snakemake.params.held_out)
    models = judged_models(snakemake.params.judged, parse(snakemake.params.first), grid, device())
    vaes = {name: VAE.load(path, device()) for name, path in snakemake.params.vaes.items()}
    gates = forecast_gates(model, archive, errors, deviation, snakemake.params.seed, rollout_hours)
    gates += background_error_gates(models, vaes, samples, held_out, snakemake.params.seed)
    for table, path in ((errors, snakemake.output.forecast), (gates.table(), snakemake.output.gates)):
        write_table(path, table, digits=5)
