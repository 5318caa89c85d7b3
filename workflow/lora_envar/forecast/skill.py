"""Whether a forecast model is of any use, before it is cycled."""

import numpy as np

from ..fields.grid import Grid
from ..fields.state import HEADLINE, channel_index

#: by how much a forecast may be worse than persistence before its model is refused
TOLERATED = 0.05


def refuse_worse_than_persistence(
    predicted: np.ndarray, initial: np.ndarray, truth: np.ndarray, grid: Grid, hours: int
) -> None:
    """Refuse a model without skill, or one that receives other states than those it was trained on.

    The RMSE of a forecast is compared with that of persistence, by the geometric mean over the headline variables.
    Units or an order of channels that are not the model's own make it far worse.

    Parameters
    ----------
    predicted, initial, truth : (69, lat, lon)
        The forecast, the state that it starts from, and the state at its valid time.
    grid : Grid
    hours : int
        Lead of the forecast.

    Raises
    ------
    ValueError
        If it is worse by more than `TOLERATED`; the worst variables are named.
    """
    channels = [channel_index(name) for name in HEADLINE]

    def rmse(guess: np.ndarray) -> np.ndarray:
        return np.sqrt(grid.mean((guess[channels].astype(np.float64) - truth[channels]) ** 2))

    own = rmse(predicted)
    persistence = rmse(initial)
    ratio = own / persistence
    mean = np.exp(np.log(ratio).mean()) if np.isfinite(ratio).all() else np.inf
    if mean <= 1.0 + TOLERATED:
        return
    worst = np.argsort(-ratio, kind="stable")[:3]
    named = ", ".join(f"{HEADLINE[i]} {own[i]:.3g} instead of {persistence[i]:.3g}" for i in worst)
    raise ValueError(
        f"forecast_model: its {hours} h forecast is worse than persistence: its RMSE is {mean:.3g} times as large on "
        f"average ({named}); check that its units, its channels and their order are those of the state "
        "(config/README.md), or train it longer"
    )
