"""The error model of a method, from its files."""

from ..background.background_error import ErrorModel
from ..background.gaussian import load_gaussian
from ..background.genbe import GenBE
from ..background.hybrid import hybrid
from ..background.lora import load_tuned
from ..background.pretraining import load_error_model
from ..background.vae import VAE
from ..fields.grid import Grid
from . import METHODS


def load(method: str, files: dict, settings: dict, grid: Grid, members=None, device="cpu") -> ErrorModel | None:
    """The background error model that a method names, or None for `no_assimilation`.

    Parameters
    ----------
    files : dict
        By the names that rule assimilate gives its inputs: genbe; gaussian; vae, residual, tuned.
    settings : dict
        The method's section of the configuration.
    members : (members, 69, lat, lon) or None
        For `hybrid`: the ensemble valid at the analysis time, on `grid`.
    """
    kind = METHODS[method].error_model
    if kind is None:
        return None
    if kind == "genbe":
        return GenBE.load(files["genbe"], grid, device)
    if kind == "hybrid":
        return hybrid(GenBE.load(files["genbe"], grid, device), members, settings, grid)
    if kind == "gaussian":
        return load_gaussian(files["gaussian"], grid, device)
    tuning = METHODS[method].tuning
    vae = VAE.load(files["tuned" if tuning == "all" else "vae"], device)
    if tuning == "adapters":
        load_tuned(vae, files["tuned"])
    return load_error_model(vae, files["residual"], settings["residual_amplitude"])
