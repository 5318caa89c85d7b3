"""What a variational analysis says about itself: the background error that it assumed, and what the data contributed.

The degrees of freedom for signal are tr(H K), how many of the p data's degrees of freedom the analysis takes from them
and not from the background (Rodgers, 2000, Inverse Methods for Atmospheric Sounding, ch. 2). They are the randomised
trace of `calibration`: E[e' R^-1 H dx] for the increments dx that noise e ~ N(0, R) alone leads to (Desroziers and
Ivanov, 2001, https://doi.org/10.1002/qj.49712757417).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch

from ..background.sampling import random_control
from .amplitudes import Amplitude
from .calibration import measured
from .minimisation import MinimiserSettings
from .variational import CostFunction, observed_increment

#: random samples of the background's error, at some ten thousand data each
SAMPLES = 4


@dataclass(frozen=True)
class Diagnosis:
    """What an analysis reports about itself, at an extra cost.

    Attributes
    ----------
    draws : torch.Generator
        Of noise and samples.
    signal : bool
        Whether the degrees of freedom for signal are measured where no calibration does, by one more minimisation.
    """

    draws: torch.Generator
    signal: bool

    def background_deviation(self, cost: CostFunction, observe: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        """Standard deviation of the background's equivalents under the error model, (rows,), from `SAMPLES` samples.

        Parameters
        ----------
        cost : CostFunction
        observe : function
            H, from a state to the equivalents of all data that are looked at, (rows,).
        """
        model = cost.background_error
        observed = observed_increment(cost.background, cost.to_state_grid, observe)
        with torch.no_grad():
            equivalents = observe(cost.background)
            square = torch.zeros_like(equivalents)
            for _ in range(SAMPLES):
                control = random_control(model, self.draws, cost.background.device)
                increment = model.increment(control / cost.background_weight**0.5)
                square += (observed(increment) - equivalents).square() / SAMPLES
        return square.sqrt()

    def degrees_of_freedom(
        self, cost: CostFunction, settings: MinimiserSettings, progress: Callable[[str], None] = print
    ) -> float:
        """tr(H K), estimated with one sample of noise."""
        found = measured(cost, {}, settings, self.draws, progress)
        return sum(trace for trace, _ in found.values())


def expected_signal(amplitudes: Mapping[str, Amplitude], parts: Iterable[str]) -> float:
    """tr(H K) of a calibrated analysis: the traces T_k of all parts, those of cycles that measured none anticipated."""
    statistics = [amplitudes[part].statistic for part in parts]
    return sum(statistic.expected for statistic in statistics if statistic)
