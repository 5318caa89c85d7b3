"""The local ensemble transform Kalman filter, with an ensemble of its own that is cycled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...background.settings import LETKFSettings
from ..method import Inputs, Method

if TYPE_CHECKING:
    from ..assimilate import Analysis, Case


class LETKF(Method):
    """The LETKF, see `analysis.letkf`."""

    name = "letkf"
    Settings = LETKFSettings
    cycled_ensemble = True

    def analyse(self, case: Case, inputs: Inputs) -> Analysis:
        """The analyses of all members, and their mean."""
        from ..letkf import filter_ensemble

        return filter_ensemble(case, inputs.cycled_ensemble(), self.settings, inputs.truncation)
