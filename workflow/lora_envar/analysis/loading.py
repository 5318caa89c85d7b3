"""The error model of a method, from its files."""

from ..background.background_error import BackgroundError
from ..background.gaussian import load_gaussian
from ..background.genbe import GenBE
from ..background.hybrid import hybrid
from ..background.lora import load_finetuned
from ..background.pretraining import load_background_error
from ..background.vae import VAE
from ..fields.grid import Grid
from . import METHODS


def load(method: str, files: dict, settings: dict, grid: Grid, members=None, device="cpu") -> BackgroundError | None:
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
    kind = METHODS[method].background_error
    if kind is None:
        return None
    if kind == "genbe":
        return GenBE.load(files["genbe"], grid, device)
    if kind == "hybrid":
        return hybrid(GenBE.load(files["genbe"], grid, device), members, settings, grid)
    if kind == "gaussian":
        return load_gaussian(files["gaussian"], grid, device)
    finetunes = METHODS[method].finetunes
    vae = VAE.load(files["finetuned" if finetunes == "all" else "vae"], device)
    if finetunes == "adapters":
        load_finetuned(vae, files["finetuned"])
    return load_background_error(vae, files["residual"], settings["residual_amplitude"])
