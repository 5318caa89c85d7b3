"""Rule train_emulator: the example's forecast model, from its nature runs."""

from lora_envar.runtime.step import checkpoint_minutes, device, step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.example_world.nature import NATURE_GRID, NATURE_TRUNCATION
        from lora_envar.example_world.packed import read_coefficients
        from lora_envar.fields.harmonics import SphericalHarmonics
        from lora_envar.fields.state import CHANNELS
        from lora_envar.forecast.emulator import EmulatorTraining, train_emulator
        from lora_envar.forecast.trajectories import Segments
        from lora_envar.networks.checkpoint import Checkpoint
        from lora_envar.networks.swin import NetworkSettings
        from lora_envar.networks.training import TrainingSettings
        from lora_envar.settings import settings_from

    settings = snakemake.params.settings
    channels = (len(CHANNELS),)
    sizes = {"shape": NATURE_GRID.shape, "inputs": channels, "outputs": channels, **settings["network"]}
    harmonics = SphericalHarmonics(NATURE_GRID, NATURE_TRUNCATION, device=device())
    segments = [read_coefficients(path)[1] for path in snakemake.input]
    checkpoint = Checkpoint(snakemake.output[0], settings, snakemake.input, checkpoint_minutes())
    model, _ = train_emulator(
        Segments(segments, harmonics, device()),
        NATURE_GRID,
        NATURE_TRUNCATION,
        settings_from(NetworkSettings, sizes),
        EmulatorTraining(
            TrainingSettings(**settings["training"]), settings["noise"], settings["seed"], settings["step_hours"]
        ),
        device=device(),
        checkpoint=checkpoint,
    )
    model.save(snakemake.output[0], half=True, **settings["training"])
    checkpoint.remove()
