"""The error model of a method, from its files."""

from ..background.error_model import ErrorModel
from ..background.gaussian import load_gaussian
from ..background.lora import load_tuned
from ..background.pretraining import load_error_model
from ..background.vae import VAE
from ..grid import Grid
from . import METHODS


def load(method: str, files: dict, settings: dict, grid: Grid, device="cpu") -> ErrorModel | None:
    """The background error model that a method names, or None for `no_assimilation`.

    Parameters
    ----------
    files : dict
        By the names that rule assimilate gives its inputs: gaussian; vae, residual, tuned.
    settings : dict
        The method's section of the configuration.
    """
    kind = METHODS[method].error_model
    if kind is None:
        return None
    if kind == "gaussian":
        return load_gaussian(files["gaussian"], grid, device)
    tuning = METHODS[method].tuning
    vae = VAE.load(files["tuned" if tuning == "all" else "vae"], device)
    if tuning == "adapters":
        load_tuned(vae, files["tuned"])
    return load_error_model(vae, files["residual"], settings["residual_amplitude"])
