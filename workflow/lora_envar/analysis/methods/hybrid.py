"""Hybrid 3DEnVar: a static background error and the ensemble of the day."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...background.settings import HybridSettings
from ..method import Inputs, VariationalMethod

if TYPE_CHECKING:
    from ...background.background_error import BackgroundError


class HybridMethod(VariationalMethod):
    """Hybrid 3DEnVar, see `background.hybrid`."""

    name = "hybrid"
    Settings = HybridSettings
    fitted_files = ("genbe",)
    ensemble = True

    def background_error(self, inputs: Inputs) -> BackgroundError:
        from ...background.genbe import GenBE
        from ...background.hybrid import hybrid

        static = GenBE.load(inputs.files["genbe"], inputs.error_grid, inputs.device)
        return hybrid(static, inputs.members(), self.settings, inputs.error_grid)
