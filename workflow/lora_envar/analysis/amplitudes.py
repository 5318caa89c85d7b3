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

Where the parts have the structure of the errors, that is all. Where they have not, the likelihood is ruled by the
directions that the data determine best; cycled analyses leave little error there, and the variance that it finds for
all parts together is too small for the rest. The likelihood therefore gives their ratios, and their common factor c is
such that the innovations as a whole are as large as the background error and R say, 2 J / p = 1 at the minimum for p
data (Bennett, 1992, Inverse Methods in Physical Oceanography, ch. 5; Talagrand, 1999); by scoring again,

    c = 1 + (2 J - p) / sum_k T_k,

with 2 p for the variance of 2 J. It is kept as the row `COMMON` of the state, over what the likelihood alone gives, and
within `LARGEST_COMMON` of that: the background error would otherwise make up for an R that is declared too small.

Every variance moves to its estimate by the share that the cycle's information has in that of all cycles so far, which
are forgotten exponentially, or at once where a cycle contradicts them, and towards what it was fitted to where there
is next to none: without data it returns there. No step is longer than a factor of `LARGEST_STEP`.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
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
#: the likelihood's variance stays within this factor of what it was fitted to
LARGEST_FACTOR = 256.0
#: all parts' variances together stay within this factor of the likelihood's
LARGEST_COMMON = 4.0
#: name of that factor in the state
COMMON = "common"
#: how the names of the errors of a type of report begin
OF_REPORTS = "reports "
#: T_k and F_k are measured in each of the first cycles, and then every so many
FIRST_CYCLES = 8
EVERY = 4
#: digits of the state, which is read back by the next cycle
DIGITS = 10


@dataclass(frozen=True)
class Statistic:
    """What one cycle says of a variance.

    Attributes
    ----------
    observed, expected : float
        |u_k|^2 and T_k of a part; 2 J and p of the common factor.
    sensitivity : float
        Of the expectation to the logarithm of the variance: F_k; the sum of T_k of the common factor.
    sampling_variance : float
        Of the observed value, where the variance is right: 2 F_k; 2 p of the common factor.
    data : int
        p.
    """

    observed: float
    expected: float
    sensitivity: float
    sampling_variance: float
    data: int

    @property
    def estimate(self) -> float:
        """How much larger the variance should be, c; within the largest step."""
        if not self.information:
            return 1.0
        ratio = 1 + (self.observed - self.expected) / self.sensitivity
        return min(max(ratio, 1 / LARGEST_STEP), LARGEST_STEP)

    @property
    def information(self) -> float:
        """About the logarithm of the variance; none where the sensitivity is a trace that is noise."""
        return self.sensitivity**2 / self.sampling_variance if self.sensitivity > 0 else 0.0

    @property
    def contradicts(self) -> bool:
        """Whether the variance is wrong by a factor of two and three standard deviations: the past is forgotten."""
        # the measured expectation has about the variance of the observed value
        significant = (self.observed - self.expected) ** 2 > 9 * 2 * self.sampling_variance
        return significant and not 0.5 < self.estimate < 2.0

    def over(self, factor: float) -> "Statistic":
        """What the cycle says of a variance so many times smaller than the one in use."""
        return replace(
            self,
            expected=self.expected + (1 / factor - 1) * self.sensitivity,
            sensitivity=self.sensitivity / factor,
            sampling_variance=self.sampling_variance / factor,
        )


@dataclass(frozen=True)
class Amplitude:
    """The variance of a part of the background error, or of the errors of a type of report, over what it was fitted to.

    That of `COMMON` is of all parts of the background error, over what the likelihood gives.

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

    def updated(self, statistic: Statistic | None, common: float = 1.0) -> "Amplitude":
        """After one more cycle, with the variance that the likelihood gives.

        Parameters
        ----------
        statistic : Statistic or None
            None where the cycle had no data.
        common : float
            The variance in use over that which the likelihood gave.
        """
        seen = statistic.over(common) if statistic else None
        information = TRUSTED * seen.information if seen else 0.0
        kept = 0.0 if seen and seen.contradicts else KEPT
        total = kept * self.information + information
        weight = 1 / (total + PRIOR_INFORMATION)
        logarithm = math.log(self.variance / common) * (1 - (1 - KEPT) * PRIOR_INFORMATION * weight)
        if seen:
            logarithm += math.log(1 + information * weight * (seen.estimate - 1))
        cycles = self.cycles + (seen is not None)
        return Amplitude(_limited(logarithm, LARGEST_FACTOR), self.variance, total, statistic or self.statistic, cycles)


def _limited(logarithm: float, factor: float) -> float:
    """The number of a logarithm, within a factor of one."""
    limit = math.log(factor)
    return math.exp(min(max(logarithm, -limit), limit))


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
        data = len(cost.values)
        expected = sum(statistic.expected for part, statistic in found.items() if _is_of_background(part))
        consistency = Statistic(2 * minimum.cost_end, data, expected, 2 * data, data)
        learned = self._learned(found, consistency)
        for part, amplitude in learned.items():
            progress(f"variance of {part}: {amplitude.used:.4g} -> {amplitude.variance:.4g} of what was fitted")
        return learned

    def without_data(self) -> dict[str, Amplitude]:
        """The amplitudes after a cycle that has no data of them."""
        return self._learned({}, None)

    def _learned(self, found: Mapping[str, Statistic], consistency: Statistic | None) -> dict[str, Amplitude]:
        """The amplitudes after a cycle of these statistics, of parts and types of reports, and of the common factor."""
        common = self._of(COMMON)
        learned = {}
        moves = []
        for part in {**self.amplitudes, **found}:
            if part == COMMON:
                continue
            before = self._of(part)
            factor = common.variance if _is_of_background(part) else 1.0
            learned[part] = before.updated(found.get(part), factor)
            if part in found and _is_of_background(part):
                move = math.log(learned[part].variance * factor / before.variance)
                moves.append((move, found[part].information))
        if learned:
            total = sum(information for _, information in moves)
            moved = sum(move * information for move, information in moves) / total if total else 0.0
            after = common.updated(consistency)
            after = replace(after, variance=_limited(math.log(after.variance) - moved, LARGEST_COMMON))
            for part, amplitude in learned.items():
                if _is_of_background(part):
                    learned[part] = replace(amplitude, variance=amplitude.variance * after.variance)
            learned[COMMON] = after
        return learned

    def _of(self, part: str) -> Amplitude:
        return self.amplitudes.get(part, Amplitude())

    def _groups(self, report_types: np.ndarray) -> dict[str, np.ndarray]:
        if not self.of_observations:
            return {}
        return {f"{OF_REPORTS}{kind}": report_types == kind for kind in np.unique(report_types)}


def _is_of_background(part: str) -> bool:
    return not part.startswith(OF_REPORTS)


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
    return {part: Statistic(value, *expected[part], 2 * expected[part][1], data) for part, value in observed.items()}


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
            Statistic(row.observed, row.expected, row.sensitivity, row.sampling_variance, int(row.data))
            if row.cycles
            else None,
            int(row.cycles),
        )
        for row in read_table(path).itertuples()
    }


def write_amplitudes(path: str | Path, amplitudes: Mapping[str, Amplitude]) -> None:
    """Write a row per part, with the columns of `Amplitude` and of its statistic."""
    rows = []
    for part, amplitude in amplitudes.items():
        seen = amplitude.statistic or Statistic(math.nan, math.nan, math.nan, math.nan, 0)
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
