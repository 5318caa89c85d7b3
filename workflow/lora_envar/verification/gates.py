"""Gates: conditions that a model or an experiment must meet before its results mean anything. A rule computes them all.

A gate that is not passed does not stop the workflow; the report shows it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

import numpy as np
import pandas as pd
import torch

from ..analysis import METHODS
from ..analysis.method import Inputs, VariationalMethod
from ..background import sampling
from ..background.background_error import BackgroundError
from ..background.pretraining import samples_of
from ..background.training_set import TrainingSet
from ..background.vae import VAE
from ..fields.grid import Grid
from ..fields.harmonics import SphericalHarmonics, finest_truncation
from ..fields.seeds import generator
from ..fields.state import CHANNELS, HEADLINE, channel_index
from ..fields.timeline import from_hours, hours_since_1970
from ..files.state_file import Archive
from ..forecast import forecasts, frames
from ..forecast.model import ForecastModel
from . import ROLLOUT_HOURS, learned

#: channels that are looked at
GATED = ("z500", "t850", "u500", "q700", "t2m")
#: those whose errors' place is looked at
PLACED = ("z500", "t850", "u500", "q700")
#: leads at which the forecast model is judged, in hours
LEADS = (6, 24, 48, 120)
#: leads at which what is left of white noise is judged
NOISE_LEADS = (6, 24, 48)


@dataclass
class Gates:
    """A growing table of gates."""

    rows: list[dict[str, Any]] = field(default_factory=list)

    def add(
        self, part: str, gate: str, quantity: str, value: float, low: float = -np.inf, high: float = np.inf
    ) -> None:
        """Record a value, and the interval in which it must lie."""
        passed = bool(low <= value <= high)
        self.rows.append(
            {
                "part": part,
                "gate": gate,
                "quantity": quantity,
                "value": value,
                "low": low,
                "high": high,
                "passed": passed,
            }
        )

    def __add__(self, other: "Gates") -> "Gates":
        return Gates(self.rows + other.rows)

    def table(self) -> pd.DataFrame:
        """One row per gate: part, gate, quantity, value, low, high, passed."""
        return pd.DataFrame(self.rows, columns=["part", "gate", "quantity", "value", "low", "high", "passed"])


def _device_of(model: ForecastModel) -> torch.device | str:
    return next(iter(model.buffers())).device if isinstance(model, torch.nn.Module) else "cpu"


def _starts(model: ForecastModel, archive: Archive, last: int) -> list[datetime]:
    """Times up to the hour `last` from which forecasts can start; models of two frames also need the time before."""
    available = [time for time in archive.times if hours_since_1970(time) <= last]
    if model.history == 1:
        return available
    step = timedelta(hours=model.step_hours)
    return [time for time in available if time - step in archive.times]


def _made_leads(model: ForecastModel, leads: Sequence[int], longest: int) -> list[int]:
    """The leads, up to the longest, that are multiples of the model's step."""
    return [lead for lead in leads if lead <= longest and lead % model.step_hours == 0]


def forecast_errors(
    model: ForecastModel,
    archive: Archive,
    first: datetime,
    climatology: np.ndarray,
    rollout_hours: int = ROLLOUT_HOURS,
    count: int = 6,
) -> pd.DataFrame:
    """RMSE of the model, of persistence and of climatology by lead, over starts spread over the archive from a time on.

    Parameters
    ----------
    first : datetime
        The first start; something may have been fitted to earlier states.
    climatology : (69, lat, lon)
    rollout_hours : int
        Longer leads of `LEADS` are left out.
    count : int
        The largest number of starts.

    Returns
    -------
    DataFrame
        lead_hours, variable (channel), model, persistence, climatology; in the units of the state.

    Raises
    ------
    ValueError
        If the archive is too short for a forecast.
    """
    leads = _made_leads(model, LEADS, rollout_hours)
    last = hours_since_1970(archive.times[-1]) - leads[-1]
    available = [time for time in _starts(model, archive, last) if time >= first]
    starts = available[:: max(1, len(available) // count)][:count]
    if not starts:
        raise ValueError(
            f"from the first cycle on, the archive has no room for a forecast of {leads[-1]} h; make archive.end later"
        )
    weights = archive.grid.area_weights[:, None]
    square = np.zeros((3, len(leads), len(CHANNELS)))
    for start in starts:
        present, previous = frames(model, archive.read, [start], _device_of(model))
        initial = archive.read(start)
        states = forecasts(model, present, leads, previous, [start])
        for index, (lead, state) in enumerate(zip(leads, states, strict=True)):
            truth = archive.read(from_hours(hours_since_1970(start) + lead))
            predicted = state[0].cpu().numpy()
            for row, guess in enumerate((predicted, initial, climatology)):
                square[row, index] += ((guess - truth).astype(np.float64) ** 2 * weights).mean((-2, -1))
    error = np.sqrt(square / len(starts))
    return pd.DataFrame(
        [
            {
                "lead_hours": lead,
                "variable": name,
                "model": error[0, i, channel_index(name)],
                "persistence": error[1, i, channel_index(name)],
                "climatology": error[2, i, channel_index(name)],
            }
            for i, lead in enumerate(leads)
            for name in HEADLINE
        ]
    )


def forecast_gates(
    model: ForecastModel,
    archive: Archive,
    errors: pd.DataFrame,
    deviation: np.ndarray,
    seed: int,
    rollout_hours: int = ROLLOUT_HOURS,
) -> Gates:
    """Whether the model beats persistence, damps white noise, and keeps mean and variance in a long forecast.

    Parameters
    ----------
    errors : DataFrame
        Of `forecast_errors`.
    deviation : (69,)
        Climatological standard deviation.
    rollout_hours : int
        Length of the long forecast.
    """
    gates = Gates()
    for row in errors.itertuples():
        quantity = f"{row.variable} at {row.lead_hours} h, model / persistence"
        gates.add("forecast model", "beats persistence", quantity, row.model / row.persistence, high=1.0)
    last = hours_since_1970(archive.times[-1]) - rollout_hours
    start = max(_starts(model, archive, last))
    present, previous = frames(model, archive.read, [start], _device_of(model))
    noise_leads = _made_leads(model, NOISE_LEADS, rollout_hours)
    *clean, end = forecasts(model, present, [*noise_leads, rollout_hours], previous, [start])
    truncation = getattr(model, "truncation", None) or finest_truncation(archive.grid)
    harmonics = SphericalHarmonics(archive.grid, truncation)
    white = torch.randn(len(CHANNELS), harmonics.size, generator=generator(seed, "white noise")) * harmonics.size**-0.5
    noise = 0.1 * torch.from_numpy(deviation)[:, None, None] * harmonics.synthesise(white)
    disturbed = forecasts(model, present + noise.to(present.device), noise_leads, previous, [start])
    scale = torch.from_numpy(deviation)[:, None, None]
    for lead, after, expected in zip(noise_leads, disturbed, clean, strict=True):
        difference = (after - expected)[0].cpu() / scale
        ratio = (archive.grid.mean(difference**2).mean() ** 0.5 / 0.1).item()
        gates.add("forecast model", "damps noise", f"white noise left after {lead} h, all channels", ratio, high=1.0)
    end = end[0].cpu()
    truth = torch.from_numpy(archive.read(from_hours(hours_since_1970(start) + rollout_hours)))
    for name in GATED:
        index = channel_index(name)
        shift = (archive.grid.mean(end[index]) - archive.grid.mean(truth[index])).item() / deviation[index]
        gates.add(
            "forecast model",
            "long forecast",
            f"{name}: shift of the global mean / climatological sd",
            shift,
            -0.25,
            0.25,
        )
        eddies = [field - field.mean(-1, keepdim=True) for field in (end[index], truth[index])]
        ratio = (archive.grid.mean(eddies[0] ** 2) / archive.grid.mean(eddies[1] ** 2)).sqrt().item()
        gates.add("forecast model", "long forecast", f"{name}: eddy standard deviation / truth's", ratio, 0.75, 1.33)
    return gates


def judged_models(
    judged: dict[str, tuple[str, dict[str, str]]], time: datetime, grid: Grid, device: str
) -> dict[str, BackgroundError]:
    """The static background errors, as fitted, by name.

    Parameters
    ----------
    judged : dict
        Name -> method and its files, from `plan.verification.VerificationPlan.judged`.
    time : datetime
        An analysis time.
    grid : Grid
        Of the errors.
    """
    models = {}
    for name, (method, files) in judged.items():
        fitted = cast(type[VariationalMethod], METHODS[method]).as_fitted()
        models[name] = fitted.background_error(Inputs(files, time, grid, device))
    return models


def background_error_gates(
    models: dict[str, BackgroundError], vaes: dict[str, VAE], samples: TrainingSet, held_out: list[int], seed: int
) -> Gates:
    """Whether every VAE explains held-out errors, and whether samples of each error model resemble them, also by place.

    What is judged by place, see `learned`, is also judged for the errors that the models were fitted to.

    Parameters
    ----------
    models : dict
        By the name of the method that uses them.
    vaes : dict
        By their names in the configuration.
    """
    gates = Gates()
    for name, vae in vaes.items():
        _vae_gates(gates, "VAE" if len(vaes) == 1 else f"VAE ({name})", vae, samples, held_out)
    grid = samples.grid
    deviation = torch.from_numpy(samples.deviation).view(-1, 1, 1)
    control = learned.control(samples, held_out)
    judge_by_place(gates, control)
    errors = samples_of(samples)(held_out) / deviation
    truncation = next((vae.truncation for vae in vaes.values() if vae.truncation), finest_truncation(grid))
    harmonics = SphericalHarmonics(grid, truncation)
    for name, model in models.items():
        drawn = sampling.draw(model, len(held_out), seed).cpu()
        by_place = learned.Comparison(name, learned.NMC, learned.describe(drawn, grid), control.errors)
        drawn /= deviation
        ratio = sampling.deviation_ratio(drawn, errors, grid)
        for channel in GATED:
            value = ratio[channel_index(channel)].item()
            gates.add(name, "samples' standard deviation", f"{channel}, samples / errors", value, 0.9, 1.1)
        spectrum = sampling.spectrum_ratio(drawn, errors, harmonics)
        for channel in ("z500", "t850"):
            for low, high in ((1, 5), (6, 12), (13, harmonics.truncation)):
                value = spectrum[channel_index(channel), low : high + 1].mean().item()
                gates.add(
                    name,
                    "samples' spectrum",
                    f"{channel}, wavenumbers {low}-{high}, samples / errors",
                    value,
                    0.67,
                    1.5,
                )
        for first, second in sampling.PAIRS:
            pair = [sampling.correlation(fields, first, second, grid) for fields in (drawn, errors)]
            gates.add(name, "correlations", f"{first} with {second}, samples less errors", pair[0] - pair[1], -0.1, 0.1)
        judge_by_place(gates, by_place)
    return gates


def judge_by_place(gates: Gates, comparison: learned.Comparison) -> None:
    """Whether samples have the errors' standard deviation on maps, in the tropics and at the poles, and balance."""
    correlation = comparison.map_correlation()
    samples = comparison.samples.values
    errors = comparison.errors.values
    for channel in PLACED:
        quantity = f"{channel}, correlation of samples' with errors'"
        gates.add(comparison.model, "map of standard deviation", quantity, correlation[channel], 0.8)
    for channel in PLACED:
        for band in ("90S-60S", "10S-10N", "60N-90N"):
            ratio = samples["relative_deviation", channel, band] / errors["relative_deviation", channel, band]
            quantity = f"{channel}, {band}, samples / errors"
            gates.add(comparison.model, "standard deviation by latitude", quantity, ratio, 0.75, 1.25)
    for band in ("90S-60S", "60S-30S", "30N-60N", "60N-90N"):
        difference = samples["balance", "z500", band] - errors["balance", "z500", band]
        quantity = f"z500 with balanced wind's, {band}, samples less errors"
        gates.add(comparison.model, "balance", quantity, difference, -0.15, 0.15)


def _vae_gates(gates: Gates, part: str, vae: VAE, samples: TrainingSet, held_out: list[int]) -> None:
    """Gates of a VAE: it explains held-out errors, decodes zero latents to zero, and its latents are white."""
    with torch.no_grad():
        errors = vae.variables.normalise(samples_of(samples)(held_out).to(vae.deviation.device))
        mean, log_variance = vae.encode(errors)
        rest = (errors - vae.decode(mean)).cpu()
        zero = vae.decode(torch.zeros_like(mean[:1])).cpu()
    grid = samples.grid
    explained = 1 - (grid.mean(rest**2).mean() / grid.mean(errors.cpu() ** 2).mean()).item()
    gates.add(part, "explained variance", "held-out errors, from the latent mean", explained, low=0.7)
    gates.add(part, "centred", "rms of D(0) / sd of errors", grid.mean(zero**2).mean().sqrt().item(), high=0.5)
    moment = (mean**2 + log_variance.exp()).mean().item()
    gates.add(part, "white latents", "second moment of encoded samples", moment, 0.9, 1.1)
