"""Methods that finetune a VAE on the ensemble of the day: LoRA-EnVar as published, and its alternatives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...background.settings import (
    AdapterSettings,
    FinetuneSettings,
    LoraFinetuneSettings,
    TrainedFinetuneSettings,
)
from ..method import Inputs
from .vae_var import VAEMethod

if TYPE_CHECKING:
    from ...background.vae import VAE


class AdaptedVAE(VAEMethod):
    """The base of all methods that adapt a VAE."""

    ensemble = True
    finetuned_file = "adapters"

    def vae(self, inputs: Inputs) -> VAE:
        """The pretrained VAE with the adapters of this cycle."""
        from ...background.finetuning import load_finetuned

        return load_finetuned(super().vae(inputs), inputs.files["finetuned"])


class LoRAEnVar(AdaptedVAE):
    """LoRA-EnVar as published: adapters in the attention blocks, trained by Adam, see `background.lora`."""

    name = "lora_envar"
    FinetuneSettings = LoraFinetuneSettings
    ranked = True

    @classmethod
    def adapters(cls, settings: Any, rank: int | None) -> AdapterSettings:
        """Adapters of the configured linear maps."""
        assert rank is not None, "the configuration is checked"
        return AdapterSettings(settings.targets, rank, settings.alpha)


class LatentLoRA(AdaptedVAE):
    """A dense low-rank adapter of the latents, fitted in closed form, see `background.prior`."""

    name = "latent_lora"
    FinetuneSettings = FinetuneSettings
    ranked = True

    @classmethod
    def adapters(cls, settings: Any, rank: int | None) -> AdapterSettings:
        """An adapter of the latents."""
        assert rank is not None, "the configuration is checked"
        return AdapterSettings("latents", rank)


class ScaledStatic(AdaptedVAE):
    """The control of the others: the static model times one number per cycle, fitted to the members likewise."""

    name = "scaled_static"
    FinetuneSettings = FinetuneSettings

    @classmethod
    def adapters(cls, settings: Any, rank: int | None) -> AdapterSettings:
        """One number for all latents."""
        return AdapterSettings("scale")


class FullFinetuning(VAEMethod):
    """The baseline that finetunes all weights of the VAE in place of adapters."""

    name = "full_finetuning"
    FinetuneSettings = TrainedFinetuneSettings
    ensemble = True
    finetuned_file = "vae"

    def vae(self, inputs: Inputs) -> VAE:
        """The VAE that was finetuned in this cycle."""
        from ...background.vae import VAE

        return VAE.load(inputs.files["finetuned"], inputs.device)
