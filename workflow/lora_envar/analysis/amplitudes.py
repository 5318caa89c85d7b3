"""Amplitudes that calibrate themselves: past innovations show how large the background error is.

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
within a factor of that: the background error would otherwise make up for an R that is declared too small.

Every variance moves to its estimate by the share that the cycle's information has in that of all cycles so far, which
are forgotten exponentially, or at once where a cycle contradicts them, and towards what it was fitted to where there
is next to none: without data it returns there. No step is longer than a factor of `LARGEST_STEP`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from ..files.tables import read_table, write_table

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
#: name of that factor in the state
COMMON = "common"
#: T_k and F_k are measured in each of the first cycles, and then every so many
FIRST_CYCLES = 8
EVERY = 4
#: digits of the state, which is read back by the next cycle
DIGITS = 10


@dataclass(frozen=True)
class Statistic:
    """What one cycle says about a variance.

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
        """The factor c by which the variance should grow, limited to the largest step."""
        if not self.information:
            return 1.0
        ratio = 1 + (self.observed - self.expected) / self.sensitivity
        return min(max(ratio, 1 / LARGEST_STEP), LARGEST_STEP)

    @property
    def information(self) -> float:
        """The information about the logarithm of the variance; zero where the sensitivity is only noise."""
        return self.sensitivity**2 / self.sampling_variance if self.sensitivity > 0 else 0.0

    @property
    def contradicts(self) -> bool:
        """Whether the variance is off by a factor of two and three standard deviations: the past is then forgotten."""
        # the measured expectation has about the variance of the observed value
        significant = (self.observed - self.expected) ** 2 > 9 * 2 * self.sampling_variance
        return significant and not 0.5 < self.estimate < 2.0

    def over(self, factor: float) -> "Statistic":
        """What the cycle says about a variance that is smaller than the one in use by this factor."""
        return replace(
            self,
            expected=self.expected + (1 / factor - 1) * self.sensitivity,
            sensitivity=self.sensitivity / factor,
            sampling_variance=self.sampling_variance / factor,
        )


@dataclass(frozen=True)
class Amplitude:
    """The variance of a part of the background error, or of the errors of a report type, relative to its fitted value.

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
        """The amplitude after one more cycle, with the variance that the likelihood gives.

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
        return Amplitude(limited(logarithm, LARGEST_FACTOR), self.variance, total, statistic or self.statistic, cycles)


def limited(logarithm: float, factor: float) -> float:
    """The number whose logarithm is given, kept within a factor of one."""
    limit = math.log(factor)
    return math.exp(min(max(logarithm, -limit), limit))


def read_amplitudes(path: str | Path | None) -> dict[str, Amplitude]:
    """Read the amplitudes that `write_amplitudes` wrote, by part; empty before the first cycle.

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
    """Write one row per part, with the columns of `Amplitude` and of its statistic."""
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
