"""VAE-Var: a learned background error, as pretrained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ...background.settings import VAESettings
from ..method import Inputs, VariationalMethod

if TYPE_CHECKING:
    from ...background.background_error import BackgroundError
    from ...background.vae import VAE


class VAEMethod(VariationalMethod):
    """The base of all methods with a VAE, see `background.vae`."""

    Settings: ClassVar[type] = VAESettings
    vae_files = ("vae", "residual")
    fitted_settings: ClassVar[dict[str, Any]] = {"background_weight": 1.0, "residual_amplitude": 1.0}

    def vae(self, inputs: Inputs) -> VAE:
        """The VAE of this cycle."""
        from ...background.vae import VAE

        return VAE.load(inputs.files["vae"], inputs.device)

    def background_error(self, inputs: Inputs) -> BackgroundError:
        """The VAE of this cycle, and its residual."""
        from ...background.pretraining import load_background_error

        return load_background_error(self.vae(inputs), inputs.files["residual"], self.settings)


class VAEVar(VAEMethod):
    """VAE-Var, which is static."""

    name = "vae_var"
    control = "3dvar"
