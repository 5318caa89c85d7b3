"""Training of a VAE on a set of forecast errors: the work of the rule `pretrain_vae`."""

from typing import Any

from ..files.tables import write_table
from ..networks.checkpoint import Checkpoint
from ..networks.training import TrainingSettings
from ..networks.workers import ALONE, Workers
from .pretraining import load_vae, new_vae, pretrain, samples_of
from .training_set import TrainingSet


def train_on_set(
    samples: str,
    initial: str | None,
    weights: str,
    curve: str,
    settings: dict[str, Any],
    truncation: int | None,
    held_out: float,
    about: dict[str, Any],
    checkpoint_minutes: float,
    workers: Workers = ALONE,
) -> None:
    """Train a VAE and write it with its learning curve.

    Parameters
    ----------
    samples : str
        File of a training set.
    initial : str or None
        File of weights to start from; None starts from scratch.
    weights, curve : str
        Files to write.
    settings : dict
        An entry of the configuration's section `vaes`.
    truncation : int or None
        Of errors.
    held_out : float
        Share of the samples that are kept for validation.
    about : dict
        Everything that determines the result, see `networks.checkpoint`.
    checkpoint_minutes : float
        Time between two checkpoints, which are written beside the weights.
    workers : Workers
        See `networks.training.train`.
    """
    training_set = TrainingSet(samples)
    indices, others = training_set.split(held_out)
    errors = samples_of(training_set)
    device = workers.device()
    if initial:
        vae = load_vae(settings, training_set.grid, initial, device)
    else:
        vae = new_vae(settings, training_set.grid, truncation, errors, indices, device)
    training = dict(settings["training"])
    training.pop("gpus", None)
    seed = training.pop("seed")
    epochs = training.pop("epochs")
    patience = training.pop("patience", None)
    per_epoch = -(-len(indices) // training["batch"])
    checkpoint = Checkpoint(weights, about, [samples], checkpoint_minutes)
    course = pretrain(
        vae,
        errors,
        indices,
        TrainingSettings(steps=epochs * per_epoch, **training),
        seed,
        held_out=others,
        patience=patience,
        checkpoint=checkpoint,
        workers=workers,
    )
    if workers.first:
        vae.save(weights, samples=len(indices), updates=course.kept)
        write_table(curve, course.table(per_epoch))
        checkpoint.remove()
