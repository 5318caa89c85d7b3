"""Rule train_forecast_model: a forecast model from the states of an archive."""

from lora_envar.runtime.step import checkpoint_minutes, readers, step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.forecast.archive_training import train_on_archive
        from lora_envar.networks.launching import in_processes

    params = snakemake.params
    in_processes(
        params.settings.get("gpus", 1),
        train_on_archive,
        archive=list(snakemake.input.archive),
        weights=snakemake.output.weights,
        curve=snakemake.output.curve,
        settings=dict(params.settings),
        truncation=params.truncation,
        checkpoint_minutes=checkpoint_minutes(),
        readers=readers(),
    )
