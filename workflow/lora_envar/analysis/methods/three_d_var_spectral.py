"""3D-Var with a homogeneous, isotropic background error that correlates all channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..method import Inputs, VariationalMethod

if TYPE_CHECKING:
    from ...background.background_error import BackgroundError


class ThreeDVarSpectral(VariationalMethod):
    """3D-Var, see `background.gaussian`."""

    name = "3dvar_spectral"
    fitted_files = ("gaussian",)

    def background_error(self, inputs: Inputs) -> BackgroundError:
        """The covariance, fitted to forecast errors."""
        from ...background.gaussian import load_gaussian

        return load_gaussian(inputs.files["gaussian"], inputs.error_grid, inputs.device)
