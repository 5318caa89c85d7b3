"""Single-observation experiments: the increment of one observation under the background error of a cycle.

Of a linear background error with covariance B the increment of one observation is

    dx = B h (h' B h + r^2)^-1 d,    d = O - B,

a column of B: its shape shows the balance, the lengths and the flow dependence that the error model has at that place.
Here it comes from the method itself, with the members, adapters, residual and amplitudes of the cycle, and with the
minimiser's settings of the experiment. Windows are left aside: at the start of a window, where the observation is,
its increment is that of 3D-Var.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import torch

from ..fields.grid import Grid
from ..fields.regridding import regridder
from ..fields.timeline import hours_since_1970, parse
from ..observations.error_table import ErrorTable
from ..observations.operator import ObservationOperator
from ..observations.single import SingleObservation, assumed_error
from ..observations.table import Observations
from .assimilate import Case
from .case_files import read_case
from .method import Inputs, Method


@dataclass(frozen=True)
class Response:
    """The increment of one observation, and how it was found.

    Attributes
    ----------
    increment : (69, lat, lon)
        On the error grid, in the units of the state.
    departure : float
        O - B.
    error : float
        Standard deviation of the observation error.
    at_observation : float
        The increment there, by the observation operator on the grid of states.
    gradient_reduction : float
        Norm of the cost function's gradient at the end over that at the start; not a number for a filter.
    evaluations : int
        Evaluations of the cost function; 0 for a filter.
    """

    increment: np.ndarray
    departure: float
    error: float
    at_observation: float
    gradient_reduction: float
    evaluations: int


def respond(
    method: Method, inputs: Inputs, case: Case, observations: Sequence[tuple[SingleObservation, float]]
) -> list[Response]:
    """The increments of observations, each assimilated alone, with one background error of a cycle.

    Parameters
    ----------
    method : Method
    inputs : Inputs
        Of the cycle.
    case : Case
        Of the cycle; its observations, window and checks do not count.
    observations : sequence
        Of observations, each with its error.

    Raises
    ------
    ValueError
        If the method uses no observations.
    """
    if not method.assimilates:
        raise ValueError(f"the method {method.name} uses no observations, so none has an increment; leave it out")
    analyse = method.analyser(inputs)
    background = torch.as_tensor(case.background, device=case.device)
    to_error_grid = regridder(case.grid, case.error_grid, background.dtype)
    hours = hours_since_1970(inputs.time)
    responses = []
    for observation, error in observations:
        departure = error if observation.departure is None else observation.departure
        table = observation.table(hours, error=error)
        observe = ObservationOperator(table, case.grid, background.dtype, case.device)
        table = table.with_columns(value=(observe(background).cpu().numpy() + departure).astype(table.value.dtype))
        result = analyse(replace(case, observations=table, window=None, checks=None))
        increment = torch.from_numpy(result.increment)
        minimum = result.minimum
        responses.append(
            Response(
                to_error_grid(increment).numpy(),
                departure,
                error,
                observe(increment.to(background)).item(),
                minimum.gradient_end / minimum.gradient_start if minimum else float("nan"),
                minimum.evaluations if minimum else 0,
            )
        )
    return responses


def with_errors(
    observations: Sequence[SingleObservation], network: Observations, table: ErrorTable
) -> list[tuple[SingleObservation, float]]:
    """Give each observation the error that the network assumes for such data, or else that of a table of errors.

    Parameters
    ----------
    network : Observations
        Those of a cycle.
    table : ErrorTable
    """
    found = []
    for observation in observations:
        error = assumed_error(network, observation)
        if error is None:
            row = observation.table(0)
            error = table(row.variable, row.pressure, row.value).item()
        found.append((observation, error))
    return found


def respond_in_cycles(
    method: Method,
    cycles: Mapping[str, dict[str, Any]],
    observations: Sequence[SingleObservation],
    errors: ErrorTable | float,
    error_grid: Grid,
    minimiser: Mapping[str, Any],
    truncation: int | None,
    device: str = "cpu",
    progress: Callable[[str], None] = print,
) -> dict[datetime, list[Response]]:
    """The increments of observations in cycles of an experiment, from its files.

    Parameters
    ----------
    method : Method
        Of the experiment.
    cycles : mapping
        Time -> name -> files of the cycle, those of `Inputs`, ``background`` and ``observations``.
    observations : sequence of SingleObservation
    errors : ErrorTable or float
        Errors of observations of which the network has none, or that of all.
    error_grid : Grid
    minimiser : mapping
        As the configuration has it.
    truncation : int or None
        Of the states on their grid.
    device : str
    progress : function
        Receives one line of text at a time.
    """
    found = {}
    for name, files in cycles.items():
        time = parse(name)
        case = replace(read_case(files, time, error_grid, minimiser, None, None, device), progress=progress)
        if isinstance(errors, ErrorTable):
            placed = with_errors(observations, case.observations, errors)
        else:
            placed = [(observation, errors) for observation in observations]
        found[time] = respond(method, Inputs(files, time, error_grid, device, truncation), case, placed)
    return found
