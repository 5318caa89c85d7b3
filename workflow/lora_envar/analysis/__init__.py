"""Analysis methods: what each one needs, by the name it has in the configuration.

This module imports nothing heavy, since the Snakefile reads it to know the inputs of `assimilate`.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Method:
    """An analysis method.

    Attributes
    ----------
    background_error : str or None
        ``genbe``, ``gaussian``, ``hybrid``, ``vae``, or None for no analysis at all.
    ensemble : bool
        Whether the system's own time-lagged ensemble enters.
    finetunes : str or None
        What of the error model is finetuned on that ensemble: ``adapters`` (low-rank), ``all`` weights, or None.
    settings : tuple of str
        Names of its settings, the keys of its entry in `methods`.
    """

    background_error: str | None
    ensemble: bool = False
    finetunes: str | None = None
    settings: tuple[str, ...] = ()

    def settings_of_finetune(self, settings: dict) -> dict:
        """Of a method's settings those that its finetuned background error depends on; None for what has no effect."""
        on_latents = self.finetunes == "adapters" and settings["targets"] == "latents"
        unused = _UNUSED_ON_LATENTS if on_latents else ()
        return {
            key: None if key in unused else value for key, value in settings.items() if key not in _SETTINGS_OF_ANALYSES
        }

    def settings_of_analysis(self, settings: dict) -> dict:
        """Of a method's settings those that its analyses depend on, its error model given."""
        if not self.finetunes:
            return dict(settings)
        return {key: value for key, value in settings.items() if key in _SETTINGS_OF_ANALYSES}


#: of methods with a finetuned background error: what its analyses need beside that
_SETTINGS_OF_ANALYSES = ("background_weight", "residual_amplitude")
#: adapters of the latents have a closed form: nothing is scaled, trained or carried over
_UNUSED_ON_LATENTS = ("alpha", "epochs", "learning_rate", "carry_over")

_FINETUNE = ("member_source", "normalisation", "ensemble_amplitude", "carry_over", "minimum_members")
_FINETUNE += ("epochs", "batch", "learning_rate")
_HYBRID = ("alpha", "ensemble_covariance", "horizontal_localisation", "vertical_localisation")
_HYBRID += ("ensemble_amplitude", "minimum_members")

METHODS: dict[str, Method] = {
    "no_assimilation": Method(None),
    "3dvar": Method("genbe", settings=("background_weight",)),
    "3dvar_spectral": Method("gaussian", settings=("background_weight",)),
    "hybrid": Method("hybrid", ensemble=True, settings=("background_weight", *_HYBRID)),
    "vae_var": Method("vae", settings=_SETTINGS_OF_ANALYSES),
    "lora_envar": Method(
        "vae",
        ensemble=True,
        finetunes="adapters",
        settings=(*_SETTINGS_OF_ANALYSES, "alpha", "targets", *_FINETUNE),
    ),
    "full_finetuning": Method("vae", ensemble=True, finetunes="all", settings=(*_SETTINGS_OF_ANALYSES, *_FINETUNE)),
}
