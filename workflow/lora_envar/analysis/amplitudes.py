"""Amplitudes that calibrate themselves: the innovations of past cycles say how large the background's error is.

The background error is a sum of parts, B = sum_k a_k B_k, whose variances a_k are found by maximum likelihood of the
innovations d = y - H(x_b), Gaussian with the covariance S = H B H' + R. With u_k the standard normal numbers of part k
at the minimum of the cost function, |u_k|^2 = a_k d' S^-1 H B_k H' S^-1 d: twice the background term is the sufficient
statistic. Where the likelihood has its maximum it equals its expectation, T_k = a_k tr(S^-1 H B_k H'), and where all
variances should be c times as large its expectation is T_k + (c - 1) F_k, with F_k the sum of row k of twice Fisher's
information of the logarithms. So

    c_k = 1 + (|u_k|^2 - T_k) / F_k

is the estimate of one cycle, a step of Fisher's scoring. Its fixed point is that of Chapnik, Desroziers, Rabier and
Talagrand (2004, https://doi.org/10.1256/qj.03.26; 2006, https://doi.org/10.1256/qj.04.102). T_k and F_k come from one
more minimisation, with the observations' noise alone in place of the innovations, a randomised trace: for e ~ N(0, R)
and the increments dx_k that it leads to,

    T_k = E[e' R^-1 H dx_k],    F_k = T_k - E[|u_k|^2].

All are of the same unconverged minimisation, which biases them alike. Likewise for f_t, the factor of R of reports of
type t: the statistic is the sum over its data of ((y - H(x_a)) / r)^2, its expectation their number less the sum of
e (H dx) / r^2, and the sensitivity the sum of (e - H dx)^2 / r^2.

Every variance moves to its estimate by the share that the cycle's information has in that of all cycles so far, which
are forgotten exponentially, or at once where a cycle contradicts them, and towards what it was fitted to where there
is next to none: without data it returns there. No step is longer than a factor of `LARGEST_STEP`.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from ..background.background_error import BackgroundError, amplified
from ..files.tables import read_table, write_table
from .variational import CostFunction, MinimiserSettings, Minimum, minimise

#: of the information of the cycles before, what is kept: a memory of some ten cycles
KEPT = 0.9
#: of a cycle's information, what counts: its errors are not Gaussian, and like those of the cycle before
TRUSTED = 0.05
#: information at which the prior counts as much as the data
PRIOR_INFORMATION = 0.25
#: largest factor of a variance from one cycle to the next
LARGEST_STEP = 4.0
#: a variance stays within this factor of what it was fitted to
LARGEST_FACTOR = 256.0
#: T_k and F_k are measured in each of the first cycles, and then every so many
FIRST_CYCLES = 8
EVERY = 4
#: digits of the state, which is read back by the next cycle
DIGITS = 10


@dataclass(frozen=True)
class Statistic:
    """What one cycle says of a part: |u_k|^2, T_k and F_k, of p data."""

    observed: float
    expected: float
    sensitivity: float
    data: int

    @property
    def estimate(self) -> float:
        """c_k, how much larger the variance should be; within the largest step."""
        ratio = 1 + (self.observed - self.expected) / self.sensitivity
        return min(max(ratio, 1 / LARGEST_STEP), LARGEST_STEP)

    @property
    def contradicts(self) -> bool:
        """Whether the variance is wrong by a factor of two and three standard deviations: the past is forgotten."""
        if self.sensitivity <= 0:
            return False
        # 2 F is the variance of the statistic, and about that of its measured expectation
        significant = (self.observed - self.expected) ** 2 > 9 * 4 * self.sensitivity
        return significant and not 0.5 < self.estimate < 2.0


@dataclass(frozen=True)
class Amplitude:
    """The variance of a part of the background error, or of the errors of a type of report, over what it was fitted to.

    Attributes
    ----------
    variance : float
        For the next cycle.
    used : float
        In the last cycle.
    information : float
        Of the past cycles together, about its logarithm.
    statistic : Statistic or None
        Of the last cycle; None before there were data.
    cycles : int
        With data, so far.
    """

    variance: float = 1.0
    used: float = 1.0
    information: float = 0.0
    statistic: Statistic | None = None
    cycles: int = 0

    @property
    def due(self) -> bool:
        """Whether T_k and F_k are to be measured in the next cycle."""
        return self.statistic is None or self.cycles < FIRST_CYCLES or self.cycles % EVERY == 0

    def anticipated(self, data: int) -> tuple[float, float]:
        """T_k and F_k of the next cycle, from those of the last: dT / d log a = T - F, and both go with p."""
        assert self.statistic is not None, "it is due"
        share = data / self.statistic.data
        change = math.log(self.variance / self.used)
        expected = self.statistic.expected + (self.statistic.expected - self.statistic.sensitivity) * change
        return share * expected, share * self.statistic.sensitivity

    def updated(self, statistic: Statistic | None) -> "Amplitude":
        """After one more cycle; None where it had no data."""
        information = 0.0
        if statistic is not None and statistic.sensitivity > 0:
            information = TRUSTED * statistic.sensitivity / 2
        contradicted = statistic is not None and statistic.contradicts
        total = (0.0 if contradicted else KEPT) * self.information + information
        weight = 1 / (total + PRIOR_INFORMATION)
        logarithm = math.log(self.variance) * (1 - (1 - KEPT) * PRIOR_INFORMATION * weight)
        if statistic is not None and information:
            logarithm += math.log(1 + information * weight * (statistic.estimate - 1))
        limit = math.log(LARGEST_FACTOR)
        variance = math.exp(min(max(logarithm, -limit), limit))
        cycles = self.cycles + (statistic is not None)
        return Amplitude(variance, self.variance, total, statistic or self.statistic, cycles)


@dataclass(frozen=True)
class Calibration:
    """The amplitudes of an analysis, and what is to become of them.

    Attributes
    ----------
    amplitudes : mapping
        By part, from the cycles before; parts that are not there have the variance they were fitted to.
    of_observations : bool
        Whether the errors of observations are calibrated too, one factor per type of report.
    draws : torch.Generator
        Of the noise by which expectations are measured.
    """

    amplitudes: Mapping[str, Amplitude]
    of_observations: bool
    draws: torch.Generator

    def amplified(self, model: BackgroundError, like: torch.Tensor) -> BackgroundError:
        """An error model with the variances of the cycles before; `like` is of the type and device of its control."""
        return amplified(model, {part: self._of(part).variance for part in model.parts()}, like)

    def error_factor(self, report_types: np.ndarray) -> np.ndarray:
        """Factor of the standard deviation of every datum's error, (rows,), float32."""
        factor = np.ones(len(report_types), dtype=np.float32)
        for group, rows in self._groups(report_types).items():
            factor[rows] = self._of(group).variance ** 0.5
        return factor

    def updated(
        self,
        cost: CostFunction,
        minimum: Minimum,
        report_types: np.ndarray,
        settings: MinimiserSettings,
        progress: Callable[[str], None] = print,
    ) -> dict[str, Amplitude]:
        """The amplitudes after an analysis.

        Parameters
        ----------
        cost : CostFunction
            Of the amplified model, with a background weight of 1.
        minimum : Minimum
            Of it.
        report_types : (rows,)
            Of the data of the cost function.
        settings : MinimiserSettings
            By which the minimum was found.
        """
        groups = self._groups(report_types)
        found = statistics(cost, minimum, self.amplitudes, groups, settings, self.draws, progress)
        seen = {part: self._of(part).updated(statistic) for part, statistic in found.items()}
        for part, amplitude in seen.items():
            progress(f"variance of {part}: {amplitude.used:.4g} -> {amplitude.variance:.4g} of what was fitted")
        return self.without_data() | seen

    def without_data(self) -> dict[str, Amplitude]:
        """The amplitudes after a cycle that has no data of them."""
        return {part: amplitude.updated(None) for part, amplitude in self.amplitudes.items()}

    def _of(self, part: str) -> Amplitude:
        return self.amplitudes.get(part, Amplitude())

    def _groups(self, report_types: np.ndarray) -> dict[str, np.ndarray]:
        if not self.of_observations:
            return {}
        return {f"reports {kind}": report_types == kind for kind in np.unique(report_types)}


def statistics(
    cost: CostFunction,
    minimum: Minimum,
    amplitudes: Mapping[str, Amplitude],
    groups: Mapping[str, np.ndarray],
    settings: MinimiserSettings,
    draws: torch.Generator,
    progress: Callable[[str], None] = print,
) -> dict[str, Statistic]:
    """What an analysis says of the parts of its background error and of the errors of its observations.

    Parameters
    ----------
    cost : CostFunction
        With parts of the variances in use, and a background weight of 1.
    minimum : Minimum
        Of it.
    amplitudes : mapping
        Before this cycle, by part; T_k and F_k are measured where one of them is due.
    groups : mapping
        By type of report, which data are of it, (rows,) of bool; those of the parts that are errors of observations.
    settings : MinimiserSettings
        As of the minimum.
    draws : torch.Generator
        Of the noise.
    """
    model = cost.background_error
    parts = model.parts()
    data = len(cost.values)
    with torch.no_grad():
        standard = model.standard(minimum.control)
        observed = {part: standard[where].square().sum().item() for part, where in parts.items()}
        if groups:
            departure = (cost.values - cost.operator(cost.state(minimum.control))) / cost.errors
        for group, rows in groups.items():
            observed[group] = departure[torch.as_tensor(rows)].square().sum().item()
    known = {part: amplitudes.get(part, Amplitude()) for part in observed}
    if any(amplitude.due for amplitude in known.values()):
        expected = _expected(cost, groups, settings, draws, progress)
    else:
        expected = {part: amplitude.anticipated(data) for part, amplitude in known.items()}
    return {part: Statistic(value, *expected[part], data) for part, value in observed.items()}


def _expected(
    cost: CostFunction,
    groups: Mapping[str, np.ndarray],
    settings: MinimiserSettings,
    draws: torch.Generator,
    progress: Callable[[str], None],
) -> dict[str, tuple[float, float]]:
    """T_k and F_k of every part, from an analysis of the background with noise as observations."""
    model = cost.background_error
    with torch.no_grad():
        equivalents = cost.operator(cost.background)
        noise = torch.randn(len(cost.values), generator=draws).to(cost.values)
    simulated = cost.observing(equivalents + noise * cost.errors)
    control = minimise(simulated, simulated.zero(), settings, progress).control
    found: dict[str, tuple[float, float]] = {}
    with torch.no_grad():
        standard = model.standard(control)
        for part, where in model.parts().items():
            alone = torch.zeros_like(control)
            alone[where] = control[where]
            change = (cost.operator(cost.state(alone)) - equivalents) / cost.errors
            trace = (noise * change).sum().item()
            found[part] = trace, trace - standard[where].square().sum().item()
        if groups:
            change = (cost.operator(cost.state(control)) - equivalents) / cost.errors
        for group, rows in groups.items():
            own = torch.as_tensor(rows)
            count = int(rows.sum())
            found[group] = (
                count - (noise * change)[own].sum().item(),
                (noise - change)[own].square().sum().item(),
            )
    return found


def read_amplitudes(path: str | Path | None) -> dict[str, Amplitude]:
    """The state of a file of `write_amplitudes`, by part; empty before the first cycle.

    Raises
    ------
    ValueError
        If the file is missing or cut off.
    """
    if path is None:
        return {}
    return {
        row.part: Amplitude(
            row.variance,
            row.used,
            row.information,
            Statistic(row.observed, row.expected, row.sensitivity, int(row.data)) if row.cycles else None,
            int(row.cycles),
        )
        for row in read_table(path).itertuples()
    }


def write_amplitudes(path: str | Path, amplitudes: Mapping[str, Amplitude]) -> None:
    """Write a row per part: part, variance, used, information, observed, expected, sensitivity, data, cycles."""
    rows = []
    for part, amplitude in amplitudes.items():
        seen = amplitude.statistic or Statistic(math.nan, math.nan, math.nan, 0)
        rows.append(
            {
                "part": part,
                "variance": amplitude.variance,
                "used": amplitude.used,
                "information": amplitude.information,
                **vars(seen),
                "cycles": amplitude.cycles,
            }
        )
    write_table(path, pd.DataFrame(rows), DIGITS)
