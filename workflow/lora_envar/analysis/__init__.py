"""Analysis methods: what each one needs, by the name it has in the configuration.

This module imports nothing heavy, since the Snakefile reads it to know the inputs of `assimilate`.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Method:
    """An analysis method.

    Attributes
    ----------
    error_model : str or None
        ``genbe``, ``gaussian``, ``hybrid``, ``vae``, or None for no analysis at all.
    ensemble : bool
        Whether the system's own time-lagged ensemble enters.
    tuning : str or None
        What of the error model is tuned on that ensemble: ``adapters`` (low-rank), ``all`` weights, or None.
    """

    error_model: str | None
    ensemble: bool = False
    tuning: str | None = None


METHODS: dict[str, Method] = {
    "no_assimilation": Method(None),
    "3dvar": Method("genbe"),
    "3dvar_spectral": Method("gaussian"),
    "hybrid": Method("hybrid", ensemble=True),
    "vae_var": Method("vae"),
    "lora_envar": Method("vae", ensemble=True, tuning="adapters"),
    "full_finetuning": Method("vae", ensemble=True, tuning="all"),
}
