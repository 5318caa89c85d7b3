"""No assimilation: every analysis is its background, but departures are still computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..method import Inputs, Method

if TYPE_CHECKING:
    from ..assimilate import Analysis, Case


class NoAssimilation(Method):
    """Forecasts only, the control of every assimilation."""

    name = "no_assimilation"
    assimilates = False

    def analyse(self, case: Case, inputs: Inputs) -> Analysis:
        """Return the background, and the departures from it."""
        from ..assimilate import assimilate

        return assimilate(case, None, 1.0)
