"""Training of a forecast model on the states of an archive: the work of the rule `train_forecast_model`."""

from collections.abc import Sequence
from typing import Any

from ..fields.state import CHANNELS
from ..fields.timeline import parse
from ..files.state_file import Archive
from ..files.tables import write_table
from ..networks.checkpoint import Checkpoint
from ..networks.swin import NetworkSettings
from ..networks.training import TrainingSettings
from ..networks.workers import ALONE, Workers
from ..settings import settings_from
from .emulator import EmulatorTraining, train_emulator
from .trajectories import ArchiveTrajectories


def train_on_archive(
    archive: Sequence[str],
    weights: str,
    curve: str,
    settings: dict[str, Any],
    truncation: int | None,
    checkpoint_minutes: float,
    readers: int = 0,
    workers: Workers = ALONE,
) -> None:
    """Train an emulator and write it with its learning curve.

    Parameters
    ----------
    archive : sequence of str
        Files of states.
    weights, curve : str
        Files to write.
    settings : dict
        The section `train` of a forecast model.
    truncation : int or None
        Of the model's output.
    checkpoint_minutes : float
        Time between two checkpoints, which are written beside the weights.
    readers : int
        See `trajectories.ArchiveTrajectories`.
    workers : Workers
        See `networks.training.train`.
    """
    entries = dict(settings)
    states = Archive(archive)
    device = workers.device()
    network = entries.pop("network")
    updates = TrainingSettings(**entries.pop("training"))
    validation = entries.pop("validation")
    first = parse(entries.pop("start"))
    last = parse(entries.pop("end"))
    entries.pop("gpus", None)
    training = settings_from(EmulatorTraining, {"updates": updates, **entries})
    channels = (len(CHANNELS),)
    sizes = {"shape": states.grid.shape, "inputs": channels, "outputs": channels, **network}
    checkpoint = Checkpoint(weights, {**settings, "truncation": truncation}, archive, checkpoint_minutes)
    model, course = train_emulator(
        ArchiveTrajectories(states, first, last, training.step_hours, device, readers),
        states.grid,
        truncation,
        settings_from(NetworkSettings, sizes),
        training,
        device=device,
        held_out=ArchiveTrajectories(
            states, parse(validation["start"]), parse(validation["end"]), training.step_hours, device
        ),
        checkpoint=checkpoint,
        workers=workers,
    )
    if workers.first:
        model.save(weights, updates=course.kept, settings=settings)
        write_table(curve, course.table(training.look_every))
        checkpoint.remove()
