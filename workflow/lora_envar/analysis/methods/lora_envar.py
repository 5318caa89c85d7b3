"""LoRA-EnVar: the VAE's low-rank adapters are finetuned on the ensemble of the day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...background.settings import FinetuneSettings, LoraFinetuneSettings
from ..method import Inputs
from .vae_var import VAEMethod

if TYPE_CHECKING:
    from ...background.vae import VAE


#: adapters of the latents have a closed form: nothing is scaled, trained or carried over
UNUSED_ON_LATENTS = ("alpha", "epochs", "learning_rate", "carry_over")


class LoRAEnVar(VAEMethod):
    """LoRA-EnVar, see `background.lora`."""

    name = "lora_envar"
    FinetuneSettings = LoraFinetuneSettings
    ensemble = True
    finetuned_file = "adapters"

    @classmethod
    def finetune_settings(cls, settings: dict[str, Any]) -> dict[str, Any]:
        own = super().finetune_settings(settings)
        unused = UNUSED_ON_LATENTS if own.get("targets") == "latents" else ()
        return {name: None if name in unused else value for name, value in own.items()}

    def vae(self, inputs: Inputs) -> VAE:
        from ...background.lora import load_finetuned

        return load_finetuned(super().vae(inputs), inputs.files["finetuned"])


class FullFinetuning(VAEMethod):
    """The baseline that finetunes all weights of the VAE in place of adapters."""

    name = "full_finetuning"
    FinetuneSettings = FinetuneSettings
    ensemble = True
    finetuned_file = "vae"

    def vae(self, inputs: Inputs) -> VAE:
        from ...background.vae import VAE

        return VAE.load(inputs.files["finetuned"], inputs.device)
