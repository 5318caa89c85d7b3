"""3D-Var with a static background error in the manner of GEN_BE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..method import Inputs, VariationalMethod

if TYPE_CHECKING:
    from ...background.background_error import BackgroundError


class ThreeDVar(VariationalMethod):
    """3D-Var, see `background.genbe`."""

    name = "3dvar"
    fitted_files = ("genbe",)

    def background_error(self, inputs: Inputs) -> BackgroundError:
        """GEN_BE, fitted to forecast errors."""
        from ...background.genbe import GenBE

        return GenBE.load(inputs.files["genbe"], inputs.error_grid, inputs.device)
