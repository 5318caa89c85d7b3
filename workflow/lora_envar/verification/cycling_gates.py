"""Gates of cycled experiments: whether their analyses can be compared at all."""

import numpy as np
import pandas as pd

from ..analysis import METHODS
from .diagnostics import assimilated
from .gates import GATED, Gates
from .score import after_spin_up, channel_of

#: largest share of the gradient at the background that may be left at the analysis. Where more is left in the example,
#: further iterations change winds by several percent, and variances that are estimated from innovations by tens
CONVERGED = 0.01


def cycling_gates(
    scores: pd.DataFrame, methods: dict[str, str], first: dict[str, str], diagnostics: pd.DataFrame
) -> Gates:
    """Whether analyses beat backgrounds, converge, do not drift and match their control, and 2 J / p is near 1.

    Parameters
    ----------
    methods : dict
        Experiment -> method.
    first : dict
        Experiment -> first scored cycle.
    diagnostics : DataFrame
        Of all cycles, with `diagnostics.COLUMNS`.
    """
    gates = Gates()
    chosen = scores[(scores.region == "global") & (scores.metric == "rmse") & (scores.kind != "forecast")]
    chosen = after_spin_up(chosen, first)
    chosen = chosen.assign(channel=channel_of(chosen))
    table = chosen.pivot_table(index=["experiment", "channel"], columns=["kind", "valid_time"], values="value")
    mean = chosen.pivot_table(index=["experiment", "channel"], columns="kind", values="value")
    for name, analyses in after_spin_up(assimilated(diagnostics, methods), first).groupby("experiment", sort=False):
        for channel in GATED:
            row = mean.loc[name, channel]
            gates.add(
                name, "analysis below background", f"{channel}, RMSE ratio", row.analysis / row.background, high=0.97
            )
            series = table.loc[(name, channel), "analysis"].dropna()
            half = len(series) // 2
            drift = series.iloc[half:].mean() / series.iloc[:half].mean() if half else np.nan
            gates.add(name, "no drift", f"{channel}, analysis RMSE, second half / first half", drift, high=1.1)
        filtered = METHODS[methods[name]].cycled_ensemble
        quantity = "2 J / p at the minimum, p the number of data"
        if filtered:
            quantity = "squared departures / what spread and errors predict"
        used = with_data(analyses)
        gates.add(name, "consistency", quantity, used.consistency.mean(), 0.5, 2.0)
        if not filtered:
            quantity = "norm of the gradient at the analysis / at the background"
            gates.add(name, "convergence", quantity, used.gradient_reduction.mean(), high=CONVERGED)
    for name, method in methods.items():
        wanted = METHODS[method].control
        controls = [other for other, kind in methods.items() if kind == wanted]
        for control in controls[:1]:
            for channel in GATED:
                pair = table.loc[[(name, channel), (control, channel)], "analysis"].dropna(axis=1).mean(axis=1)
                ratio = pair.iloc[0] / pair.iloc[1]
                gates.add(name, f"close to {control}", f"{channel}, analysis RMSE ratio", ratio, high=1.1)
    return gates


def with_data(analyses: pd.DataFrame) -> pd.DataFrame:
    """The analyses that used some data, of the diagnostics of an experiment; a warning counts the others."""
    chosen = analyses[analyses.used > 0]
    without = len(analyses) - len(chosen)
    if without:
        print(
            f"warning: {without} of {len(analyses)} analyses used no data, so they are left out of the gates of "
            "minimisations"
        )
    return chosen
