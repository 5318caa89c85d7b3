"""Rule train_emulator: the example's forecast model, from its nature runs."""

from lora_envar.runtime.step import device, step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.example_world.nature import NATURE_GRID, NATURE_TRUNCATION
        from lora_envar.example_world.packed import read_coefficients
        from lora_envar.fields.state import CHANNELS
        from lora_envar.forecast.emulator import train_emulator
        from lora_envar.networks.swin import NetworkSettings
        from lora_envar.networks.training import TrainingSettings
        from lora_envar.settings import settings_from

    settings = snakemake.params.settings
    channels = (len(CHANNELS),)
    sizes = {"shape": NATURE_GRID.shape, "inputs": channels, "outputs": channels, **settings["network"]}
    model = train_emulator(
        [read_coefficients(path)[1] for path in snakemake.input],
        NATURE_GRID,
        NATURE_TRUNCATION,
        settings_from(NetworkSettings, sizes),
        TrainingSettings(**settings["training"]),
        settings["noise"],
        settings["seed"],
        settings["step_hours"],
        device=device(),
    )
    model.save(snakemake.output[0], half=True, **settings["training"])
