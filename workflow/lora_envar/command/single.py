"""Increments of single observations in experiments that have been run in this folder."""

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .outputs import check_output

if TYPE_CHECKING:
    from ..analysis.increments import Increments
    from ..plan.plan import Plan

#: what is printed of each increment
SHOWN = [
    "experiment",
    "valid_time",
    "observation",
    "departure",
    "observation_error",
    "increment",
    "zonal_half_width_km",
    "meridional_half_width_km",
    "geostrophic_ratio",
    "gradient_reduction",
]


def single(
    texts: Sequence[str],
    configurations: Sequence[str],
    names: Sequence[str],
    times: Sequence[str],
    error: float | None,
    out: str,
    resources: Path,
) -> None:
    """Assimilate single observations with the background errors of experiments, write, draw and print the increments.

    Parameters
    ----------
    texts : sequence of str
        The observations, see `observations.single`.
    configurations : sequence of paths
        Files of the configuration, each merged into those before, as Snakemake does.
    names, times : sequence of str
        Experiments, and cycles that they have in common.
    error : float or None
        Observation error; None takes that of each experiment's network.
    out : path
        Of the netCDF file. A figure per observation and time goes beside it, with its name where there is one alone.
    resources : path
        Folder of the files that ship with the workflow.

    Raises
    ------
    ValueError
        If an observation cannot be read, an experiment or a cycle is not in the configuration, an experiment uses no
        observations, or a file is missing: naming it, and what makes it.
    """
    from ..fields.timeline import name as time_name
    from ..fields.timeline import parse
    from ..observations.single import parse_single
    from ..plan.plan import all_files
    from ..plan.prepare import prepare

    observations = [parse_single(text) for text in texts]
    _refuse_doubles([observation.name for observation in observations], "observation")
    _refuse_doubles(names, "--experiment")
    config = _configuration(configurations)
    plan = prepare(config)
    cycles = [time_name(parse(time)) for time in times]
    _refuse_doubles(cycles, "--time")
    unknown = [name for name in names if name not in plan.experiments]
    if unknown:
        known = [experiment.name for experiment in plan.experiments.compared]
        raise ValueError(f"--experiment: there is no {', '.join(unknown)}; known: {', '.join(known)}")
    inputs = {name: plan.single_observation_inputs(name, cycles) for name in names}
    files = [path for by_time in inputs.values() for path in all_files(by_time)]
    _refuse_missing(files, configurations, resources.parent / "Snakefile")
    target = Path(out)
    cases = [f"{observation.name}_{time}" for observation in observations for time in cycles]
    figures = [target.with_suffix(".png")]
    if len(cases) > 1:
        figures = [target.with_name(f"{target.stem}_{case}.png") for case in cases]
    check_output(target, [*files, *configurations], "increments")
    for figure in figures:
        check_output(figure, [*files, *configurations, target], "figure")
    increments = _respond(plan, config, inputs, observations, error, resources)
    _write(target, figures, increments, resources)


def _configuration(paths: Sequence[str]) -> dict[str, Any]:
    """The configuration files, each updating the one before, as Snakemake reads them."""
    from snakemake.common.configfile import load_configfile
    from snakemake.exceptions import WorkflowError
    from snakemake.utils import update_config

    config: dict[str, Any] = {}
    for path in paths:
        try:
            update_config(config, load_configfile(path))
        except WorkflowError as error:
            raise ValueError(f"--config: {path} cannot be read ({error})") from None
    return config


def _refuse_doubles(names: Sequence[str], what: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{what}: {name} is given {names.count(name)} times; give it once")


def _refuse_missing(files: Iterable[str], configurations: Sequence[str], snakefile: Path) -> None:
    """Refuse to go on without files that the run has not made or kept; name them and the command that makes them."""
    missing = list(dict.fromkeys(path for path in files if not Path(path).exists()))
    if not missing:
        return
    where = [] if Path("Snakefile").exists() else ["--snakefile", str(snakefile)]
    command = ["snakemake", "--cores", "2", *where, "--configfile", *configurations, "--", *missing]
    more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
    raise ValueError(f"{missing[0]}{more} is missing; make what is missing with: {shlex.join(command)}")


def _respond(
    plan: "Plan",
    config: dict[str, Any],
    inputs: dict[str, dict[str, dict[str, Any]]],
    observations: Sequence[Any],
    error: float | None,
    resources: Path,
) -> "Increments":
    from ..analysis.increments import Increments
    from ..analysis.single import respond_in_cycles
    from ..fields.grid import Grid
    from ..observations.error_table import ErrorTable
    from ..runtime.step import device

    error_grid = Grid.from_settings(config["error_grid"])
    errors = ErrorTable(resources / "observation_errors.csv") if error is None else error
    responses = {}
    for name, by_time in inputs.items():
        experiment = plan.experiments[name]
        responses[name] = respond_in_cycles(
            experiment.method(experiment.analysis_settings),
            by_time,
            observations,
            errors,
            error_grid,
            config["minimiser"],
            config["grid"]["truncation"],
            device(),
            lambda line: None,
        )
    return Increments.of(error_grid, observations, responses)


def _write(out: Path, figures: Sequence[Path], increments: "Increments", resources: Path) -> None:
    """Write the netCDF file and the figures, and print the numbers."""
    import pandas as pd

    from ..analysis.increments import write_increments
    from ..verification.single import table_of
    from ..verification.single_figure import single_observation

    write_increments(out, increments)
    coastline = pd.read_csv(resources / "coastline.csv")
    for index, path in enumerate(figures):
        number, time = divmod(index, len(increments.times))
        single_observation([path], increments, number, time, coastline)
    print(table_of(increments)[SHOWN].to_string(index=False, float_format="{:.4g}".format))
    print(" ".join(map(str, [out, *figures])))
