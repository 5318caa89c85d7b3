"""The results of comparisons, in one sentence each and in one table."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from ..fields.state import HEADLINE
from . import SIGNIFICANCE
from .resampling import LEAST_CYCLES
from .score import channel_of
from .significance import interval

#: percent at which the colour of a cell is full
FULL_COLOUR = 10.0


@dataclass(frozen=True)
class Cell:
    """A difference in one channel.

    Attributes
    ----------
    percent : float
        Of the reference's RMSE, negative is better.
    low, high : float
        Its 95 % interval.
    p : float
        Adjusted for the number of comparisons.
    """

    percent: float
    low: float
    high: float
    p: float

    @property
    def decided(self) -> bool:
        """Whether the difference stands out from chance."""
        return self.p < SIGNIFICANCE

    @property
    def strength(self) -> float:
        """Depth of its colour, 0 to 1."""
        return min(abs(self.percent) / FULL_COLOUR, 1.0)

    def __str__(self) -> str:
        shown = f"{self.percent:+.1f}"
        return "0.0" if shown in ("+0.0", "-0.0") else shown

    @property
    def words(self) -> str:
        """The interval and the p-value."""
        return f"{interval(self.low, self.high, ' %')}, adjusted p = {self.p:.2g}"


@dataclass(frozen=True)
class Claim:
    """One experiment against a reference.

    Attributes
    ----------
    experiment, reference : str
    cells : dict
        Channel of `HEADLINE` -> `Cell`.
    cycles, seeds : int
    blocks : str
        How many independent blocks fit into the cycles, over the channels.
    """

    experiment: str
    reference: str
    cells: dict[str, Cell]
    cycles: int
    seeds: int
    blocks: str

    def sentence(self) -> str:
        """In how many variables it is better and by how much, in how many worse, and in how many undecided."""
        better = [cell.percent for cell in self.cells.values() if cell.decided and cell.percent < 0]
        worse = [cell.percent for cell in self.cells.values() if cell.decided and cell.percent >= 0]
        undecided = len(self.cells) - len(better) - len(worse)
        parts = [
            f"{word} in {len(found)} of {len(self.cells)} variables, by {_range(found)} %"
            for word, found in (("better", better), ("worse", worse))
            if found
        ]
        if undecided:
            all_of = f"all {undecided} variables" if undecided == len(self.cells) else str(undecided)
            parts.append(f"undecided in {all_of}")
        seeds = "1 seed" if self.seeds == 1 else f"{self.seeds} seeds"
        few = ", too few to decide anything" if self.cycles < LEAST_CYCLES else ""
        return f"{', '.join(parts)}; {self.cycles} cycles{few}, {seeds}"


def _range(percents: list[float]) -> str:
    """The smallest and the largest of some differences, without sign."""
    sizes = sorted(abs(percent) for percent in percents)
    ends = [f"{sizes[0]:.1f}", f"{sizes[-1]:.1f}"]
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)


def claims(comparison: pd.DataFrame, question: str, references: Mapping[str, str]) -> list[Claim]:
    """The claims of a table of comparisons, the experiment in question first, then the others, main references first.

    If a pair is compared in both directions, only the first is kept.

    Parameters
    ----------
    comparison : DataFrame
        Of `significance.compare`.
    question : str
        The experiment in question.
    references : mapping
        Experiment -> the one that it is first of all compared with.
    """
    table = comparison.assign(channel=channel_of(comparison))
    found = []
    for (experiment, reference), rows in table.groupby(["experiment", "reference"], sort=False):
        own = rows.set_index("channel").loc[list(HEADLINE)]
        cells = {
            str(row.Index): Cell(row.percent, row.percent_low, row.percent_high, row.p_adjusted)
            for row in own.itertuples()
        }
        blocks = " to ".join(dict.fromkeys(f"{count:.0f}" for count in (own.blocks.min(), own.blocks.max())))
        found.append(Claim(str(experiment), str(reference), cells, int(own.n.iloc[0]), int(own.seeds.iloc[0]), blocks))
    order = list(dict.fromkeys(claim.experiment for claim in found))

    def rank(claim: Claim) -> tuple[bool, bool, int]:
        own = references.get(claim.experiment) == claim.reference
        return claim.experiment != question, not own, order.index(claim.experiment)

    ranked: dict[frozenset[str], Claim] = {}
    for claim in sorted(found, key=rank):
        ranked.setdefault(frozenset((claim.experiment, claim.reference)), claim)
    return list(ranked.values())


def headlines(found: list[Claim], question: str, references: Mapping[str, str]) -> list[Claim]:
    """The claims on the first screen: the experiment in question, and every other one against its own reference."""
    return [
        claim for claim in found if claim.experiment == question or references.get(claim.experiment) == claim.reference
    ]
