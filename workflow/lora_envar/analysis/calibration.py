"""What an analysis says about its amplitudes, and how they change: the part of `amplitudes` in a cycle."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch

from ..background.background_error import BackgroundError, amplified
from .amplitudes import COMMON, Amplitude, Statistic, limited
from .minimisation import MinimiserSettings, Minimum, minimise
from .variational import CostFunction

#: all parts' variances together stay within this factor of the likelihood's
LARGEST_COMMON = 4.0
#: how the names of the errors of a type of report begin
OF_REPORTS = "reports "


@dataclass(frozen=True)
class Calibration:
    """The amplitudes of an analysis, and how they are updated.

    Attributes
    ----------
    amplitudes : mapping
        By part, from the cycles before; parts that are missing have the variance that was fitted.
    of_observations : bool
        Whether the errors of observations are calibrated too, one factor per type of report.
    draws : torch.Generator
        Draws the noise with which expectations are measured.
    """

    amplitudes: Mapping[str, Amplitude]
    of_observations: bool
    draws: torch.Generator

    def amplified(self, model: BackgroundError, like: torch.Tensor) -> BackgroundError:
        """The error model with the variances of the cycles before; `like` has its control vector's type and device."""
        return amplified(model, {part: self._of(part).variance for part in model.parts()}, like)

    def error_factor(self, report_types: np.ndarray) -> np.ndarray:
        """The factor on the standard deviation of the error of every datum, (rows,), float32."""
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
            progress(f"variance of {part}: from {amplitude.used:.4g} to {amplitude.variance:.4g} times what was fitted")
        return learned

    def without_data(self) -> dict[str, Amplitude]:
        """The amplitudes after a cycle without data about them."""
        return self._learned({}, None)

    def _learned(self, found: Mapping[str, Statistic], consistency: Statistic | None) -> dict[str, Amplitude]:
        """The amplitudes of parts, types of reports and the common factor after a cycle with these statistics."""
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
        if not learned:
            return {}
        total = sum(information for _, information in moves)
        moved = sum(move * information for move, information in moves) / total if total else 0.0
        after = common.updated(consistency)
        after = replace(after, variance=limited(math.log(after.variance) - moved, LARGEST_COMMON))
        for part in filter(_is_of_background, learned):
            learned[part] = replace(learned[part], variance=learned[part].variance * after.variance)
        return learned | {COMMON: after}

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
    """What an analysis says about the parts of its background error and about the errors of its observations.

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
            departure = (cost.values - cost.equivalents(minimum.control)) / cost.errors
        for group, rows in groups.items():
            observed[group] = departure[_places(rows, departure)].square().sum().item()
    known = {part: amplitudes.get(part, Amplitude()) for part in observed}
    if any(amplitude.due for amplitude in known.values()):
        expected = measured(cost, groups, settings, draws, progress)
    else:
        expected = {part: amplitude.anticipated(data) for part, amplitude in known.items()}
    return {part: Statistic(value, *expected[part], 2 * expected[part][1], data) for part, value in observed.items()}


def measured(
    cost: CostFunction,
    groups: Mapping[str, np.ndarray],
    settings: MinimiserSettings,
    draws: torch.Generator,
    progress: Callable[[str], None],
) -> dict[str, tuple[float, float]]:
    """T_k and F_k of every part, from an analysis of the background with noise as observations.

    It starts from scratch as the analysis did, though that has learned the cost's second derivatives: what both lack of
    convergence cancels.
    """
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
            change = (cost.equivalents(alone) - equivalents) / cost.errors
            trace = (noise * change).sum().item()
            found[part] = trace, trace - standard[where].square().sum().item()
        if groups:
            change = (cost.equivalents(control) - equivalents) / cost.errors
        for group, rows in groups.items():
            own = _places(rows, noise)
            found[group] = (
                len(own) - (noise * change)[own].sum().item(),
                (noise - change)[own].square().sum().item(),
            )
    return found


def _places(rows: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    """Indices of the rows that are true, on the device of another tensor."""
    return torch.as_tensor(np.flatnonzero(rows), device=like.device)
