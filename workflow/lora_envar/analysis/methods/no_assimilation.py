"""No assimilation: every analysis is its background, and departures are given all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..method import Inputs, Method

if TYPE_CHECKING:
    from ..assimilate import Analysis, Case


class NoAssimilation(Method):
    """Forecasts alone, the control of all assimilation."""

    name = "no_assimilation"
    assimilates = False

    def analyse(self, case: Case, inputs: Inputs) -> Analysis:
        from ..assimilate import assimilate

        return assimilate(case, None, 1.0)
