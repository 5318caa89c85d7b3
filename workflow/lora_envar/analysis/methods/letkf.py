"""The local ensemble transform Kalman filter, which cycles an ensemble of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...background.settings import LETKFSettings
from ..method import Inputs, Method

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..assimilate import Analysis, Case


class LETKF(Method):
    """The LETKF, see `analysis.letkf`."""

    name = "letkf"
    Settings = LETKFSettings
    cycled_ensemble = True

    def analyse(self, case: Case, inputs: Inputs) -> Analysis:
        """The analyses of all members, and their mean."""
        return self.analyser(inputs)(case)

    def analyser(self, inputs: Inputs) -> Callable[[Case], Analysis]:
        """The backgrounds of all members are read only once."""
        from ..letkf import filter_ensemble

        members = inputs.cycled_ensemble()

        def analyse(case: Case) -> Analysis:
            return filter_ensemble(case, members, self.settings, inputs.truncation)

        return analyse
