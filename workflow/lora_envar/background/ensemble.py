"""Ensembles of the day, time-lagged or cycled by a filter, and the normalisations of their perturbations."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import torch

from ..fields.grid import Grid
from ..fields.regridding import regridder
from ..fields.timeline import name, parse, year_before
from ..files.ensemble_file import read_ensemble
from ..files.state_file import StateFile
from .error_variables import ErrorVariables
from .settings import NORMALISATIONS


def read_members(
    paths: Sequence[str | Path], time: datetime, last_year: Sequence[str | Path], device: torch.device | str = "cpu"
) -> torch.Tensor | None:
    """Read the forecasts valid at a time, one from each file: (members, 69, lat, lon), or None if there are no files.

    Those of `last_year` are valid at the same date a year before. They follow the others, each with its departure from
    the mean of last year's added to the mean of this year's.

    Raises
    ------
    ValueError
        If a file cannot be read, or is not valid at that time.
    """
    if not paths:
        return None
    members = _states(paths, time)
    if last_year:
        others = _states(last_year, parse(year_before(name(time))))
        members = torch.cat([members, members.mean(0) + others - others.mean(0)])
    return members.to(device)


def _states(paths: Sequence[str | Path], time: datetime) -> torch.Tensor:
    """The states valid at a time, one from each file, (files, 69, lat, lon)."""
    return torch.stack([torch.from_numpy(StateFile(path, keep_open=True).read(time)) for path in paths])


def read_cycled_members(
    path: str | Path, time: datetime, error_grid: Grid, device: torch.device | str = "cpu"
) -> torch.Tensor:
    """Read the backgrounds of the ensemble that a filter cycles, (members, 69, lat, lon), on the error grid.

    Raises
    ------
    ValueError
        If the file cannot be read, or is not valid at the time.
    """
    members, grid = read_ensemble(path, time)
    return regridder(grid, error_grid, device=device)(torch.from_numpy(members).to(device))


def perturbations(members: torch.Tensor, variables: ErrorVariables, normalisation: str) -> torch.Tensor:
    """Normalised perturbations of an ensemble in the variables of a VAE, with the shape of `members`.

    Parameters
    ----------
    members : (members, 69, lat, lon)
        Forecasts valid at the same time, on the error grid, in the units of the state.
    variables : ErrorVariables
        f of perturbations, see there; of the published method they are divided by the standard deviation S of the
        climatological errors.
    normalisation : str
        ``member``: the paper's. Every perturbation is divided by its own standard deviation per channel, then the batch
        brought to zero mean and unit variance per channel; all amplitude is lost. ``amplitude``: perturbations are
        f divided by one number, so that over all channels the sum of their squares over K - 1, with K members, is 1;
        what differs between places, channels and members stays. ``spread``: f times (K / (K - 1))^(1/2), whose mean
        square is the variance of the day.

    Raises
    ------
    ValueError
        If there are fewer than two members, if all are the same in a channel, or if the normalisation is unknown.
    """
    if len(members) < 2:
        raise ValueError(f"perturbations need at least 2 members, got {len(members)}")
    grid = variables.grid
    departures = variables.normalise(members - members.mean(0))
    # M / (M - 1): the mean of the members is not the mean of the population
    unbiased = (len(members) / (len(members) - 1)) ** 0.5
    if normalisation == "spread":
        scaled = unbiased * departures
    elif normalisation == "amplitude":
        scaled = departures / (unbiased * grid.mean(departures**2).mean().sqrt())
    elif normalisation == "member":
        own = grid.mean(departures**2).sqrt()[..., None, None]
        scaled = departures / own
        mean = grid.mean(scaled).mean(0)[:, None, None]
        scaled = scaled - mean
        scaled = scaled / grid.mean(scaled**2).mean(0).sqrt()[:, None, None]
    else:
        raise ValueError(f"the ensemble normalisation {normalisation!r} is unknown; known: {', '.join(NORMALISATIONS)}")
    if not scaled.isfinite().all() or not grid.mean(departures**2).sum(0).all():
        raise ValueError("the members do not differ in at least one channel, so the ensemble has no spread there")
    return scaled
