"""Hybrid 3DEnVar: a static background error, GEN_BE's or a VAE's, and the ensemble of the day."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...background.settings import HybridSettings, HybridVAESettings
from ..method import Inputs, VariationalMethod
from .vae_var import VAEMethod

if TYPE_CHECKING:
    from ...background.background_error import BackgroundError


class HybridMethod(VariationalMethod):
    """Hybrid 3DEnVar, see `background.hybrid`."""

    name = "hybrid"
    Settings = HybridSettings
    fitted_files = ("genbe",)
    ensemble = True

    def background_error(self, inputs: Inputs) -> BackgroundError:
        """GEN_BE, fitted to forecast errors, and the members."""
        from ...background.genbe import GenBE
        from ...background.hybrid import hybrid

        static = GenBE.load(inputs.files["genbe"], inputs.error_grid, inputs.device)
        return hybrid(static, inputs.members(), self.settings, inputs.error_grid)


class HybridVAE(VAEMethod):
    """The hybrid whose static part is that of VAE-Var: the members are added to the model and do not change it."""

    name = "hybrid_vae"
    Settings = HybridVAESettings
    ensemble = True

    def background_error(self, inputs: Inputs) -> BackgroundError:
        """The background error of VAE-Var, and the localised members."""
        from ...background.hybrid import localised_hybrid
        from ...background.pretraining import load_background_error

        vae = self.vae(inputs)
        static = load_background_error(vae, inputs.files["residual"], self.settings)
        return localised_hybrid(static, inputs.members(), self.settings, inputs.error_grid, vae.truncation)
