"""Rule train_forecast_model: a forecast model from the states of an archive."""

from lora_envar.runtime.step import checkpoint_minutes, device, step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.fields.state import CHANNELS
        from lora_envar.fields.timeline import parse
        from lora_envar.files.state_file import Archive
        from lora_envar.files.tables import write_table
        from lora_envar.forecast.emulator import EmulatorTraining, train_emulator
        from lora_envar.forecast.trajectories import ArchiveTrajectories
        from lora_envar.networks.checkpoint import Checkpoint
        from lora_envar.networks.swin import NetworkSettings
        from lora_envar.networks.training import TrainingSettings
        from lora_envar.settings import settings_from

    settings = dict(snakemake.params.settings)
    archive = Archive(snakemake.input.archive)
    network = settings.pop("network")
    updates = TrainingSettings(**settings.pop("training"))
    validation = settings.pop("validation")
    period = [parse(settings.pop(key)) for key in ("start", "end")]
    training = settings_from(EmulatorTraining, {"updates": updates, **settings})
    channels = (len(CHANNELS),)
    sizes = {"shape": archive.grid.shape, "inputs": channels, "outputs": channels, **network}
    held_out = [parse(validation[key]) for key in ("start", "end")]
    params = {**snakemake.params.settings, "truncation": snakemake.params.truncation}
    checkpoint = Checkpoint(snakemake.output.weights, params, snakemake.input.archive, checkpoint_minutes())
    model, course = train_emulator(
        ArchiveTrajectories(archive, *period, training.step_hours, device()),
        archive.grid,
        snakemake.params.truncation,
        settings_from(NetworkSettings, sizes),
        training,
        device=device(),
        held_out=ArchiveTrajectories(archive, *held_out, training.step_hours, device()),
        checkpoint=checkpoint,
    )
    model.save(snakemake.output.weights, updates=course.kept, settings=snakemake.params.settings)
    write_table(snakemake.output.curve, course.table(training.look_every))
    checkpoint.remove()
