"""Shows a file of the workflow: as a figure if it is netCDF, and in words if it has weights."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import netCDF4
import numpy as np
import pandas as pd

from ..files.kinds import BUFR, CSV, GRIB, NETCDF3, NETCDF4, PNG, SAFETENSORS, TEXT, kind_of
from .outputs import check_output

if TYPE_CHECKING:
    from ..fields.grid import Grid

#: kind of a file that is not shown -> what to do with it
_ELSEWHERE = {
    BUFR: "turn it into a table with lora-envar decode, and show that",
    GRIB: "turn it into states with lora-envar state, and show those",
    NETCDF3: "turn it into states with lora-envar state, and show those",
    CSV: "open it with a spreadsheet or with pandas",
    TEXT: "open it with an editor",
    PNG: "it is a figure already",
}


def show(source: str | Path, out: str | Path | None, channel: str, time: str | None, coastline: str | Path) -> str:
    """Show a file.

    Parameters
    ----------
    source : path
        Of states, observations, forecast errors, increments of single observations, a packed archive, or weights.
    out : path or None
        Figure to write; None writes it beside `source`, with its name. Weights have no figure.
    channel : str
        Of states, as z500.
    time : str or None
        Of states or increments; the first time if None.
    coastline : path
        CSV of coastlines.

    Returns
    -------
    str
        The path of the figure, or a description of the weights.

    Raises
    ------
    ValueError
        If the file is of a kind that cannot be shown; the message names it, and says what to do.
    """
    source = Path(source)
    if source.is_dir():
        raise ValueError(f"{source} is a folder; give one of its files")
    if not source.exists():
        raise ValueError(f"{source} does not exist; check the path")
    kind, advice = kind_of(source)
    if kind == SAFETENSORS:
        if out is not None:
            raise ValueError(f"{source} has weights, which are described on the terminal; leave out -o")
        return weights_summary(source)
    if kind != NETCDF4:
        advice = advice or _ELSEWHERE.get(kind, "give a file of states, observations, forecast errors or weights")
        raise ValueError(f"{source} is {kind}, which cannot be shown; {advice}")
    out = Path(out or source.with_suffix(".png"))
    check_output(out, [source], "figure")
    _draw(source, out, channel, time, pd.read_csv(coastline))
    return str(out)


def _draw(source: Path, out: Path, wanted: str, time: str | None, coastline: pd.DataFrame) -> None:
    """Draw the figure for a netCDF file, whose kind is recognised by its variables."""
    from ..analysis.increments import read_increments
    from ..fields.state import CHANNELS, channel_index
    from ..files.state_file import StateFile, read_per_channel
    from ..observations.table import read_observations
    from ..verification import figures
    from ..verification.single_figure import single_observation

    try:
        with netCDF4.Dataset(source) as dataset:
            names = set(dataset.variables)
    except OSError as error:
        raise ValueError(f"{source} cannot be read as netCDF ({error}); it may be incomplete: get it again") from error
    if names & {"lead_time", "Location"}:
        form = "WeatherBench-X" if "lead_time" in names else "JEDI"
        raise ValueError(f"{source} is an export for {form}; open it as docs/examples does")
    if "rejection" in names:
        figures.observation_maps(out, str(source), read_observations(source), coastline)
    elif "increment" in names:
        increments = read_increments(source)
        index = increments.times.index(_chosen(increments.times, time, source))
        single_observation([out], increments, 0, index, coastline)
    elif {"error", "standard_deviation"} <= names:
        title = f"{source}: standard deviation of forecast errors"
        figures.deviation_profile(out, title, read_per_channel(source, "standard_deviation"))
    elif names & {"geopotential", "packed", "coefficients"}:
        try:
            channel = CHANNELS[channel_index(wanted)]
        except KeyError as error:
            raise ValueError(error.args[0]) from None
        if "geopotential" in names:
            file = StateFile(source)
            chosen = _chosen(file.times, time, source)
            grid = file.grid
            state = file.read(chosen)
        else:
            grid, chosen, state = _unpacked(source, time)
        title = f"{source}: {channel.name}, {chosen:%Y-%m-%d %H} UTC"
        figures.state_map(out, title, grid, state[channel_index(channel.name)], channel, coastline)
    else:
        raise ValueError(
            f"{source} has {', '.join(sorted(names)) or 'no variables'}, which is not a file of the workflow; turn it "
            "into states with lora-envar state, and show those"
        )


def _chosen(times: list[datetime], wanted: str | None, source: Path) -> datetime:
    """The requested time, or the first one."""
    from ..fields.timeline import parse

    if wanted is None:
        return times[0]
    if parse(wanted) not in times:
        raise ValueError(
            f"{source} has no state valid at {wanted}; it has {times[0]:%Y-%m-%dT%H} to {times[-1]:%Y-%m-%dT%H}"
        )
    return parse(wanted)


def _unpacked(source: Path, wanted: str | None) -> tuple["Grid", datetime, np.ndarray]:
    """Grid, time and state, (69, lat, lon), of a packed archive."""
    from ..example_world.nature import NATURE_GRID, NATURE_TRUNCATION
    from ..example_world.packed import read_coefficients
    from ..fields.harmonics import SphericalHarmonics
    from ..fields.timeline import from_hours

    stamps, coefficients = read_coefficients(source)
    times = [from_hours(int(hours)) for hours in stamps.astype("int64")]
    time = _chosen(times, wanted, source)
    field = SphericalHarmonics(NATURE_GRID, NATURE_TRUNCATION).synthesise(coefficients[times.index(time)])
    return NATURE_GRID, time, field.numpy()


def weights_summary(path: str | Path) -> str:
    """Settings, and the size and norm of every tensor, of a file of weights.

    Raises
    ------
    ValueError
        If the file is truncated, has no settings of the workflow, or has values that are not finite.
    """
    from ..files.weights import load_weights

    tensors, settings = load_weights(path)
    numbers = sum(tensor.numel() for tensor in tensors.values())
    square = sum(float(tensor.double().square().sum()) for tensor in tensors.values())
    rows = [
        (
            name,
            " x ".join(map(str, tensor.shape)) or "1",
            f"{float(tensor.double().square().sum()) ** 0.5:.4g}",
            f"{float(tensor.double().abs().max()) if tensor.numel() else 0.0:.4g}",
        )
        for name, tensor in tensors.items()
    ]
    lines = [
        f"{path}: weights, {Path(path).stat().st_size / 1e6:.2f} MB",
        "settings:",
        *(f"  {name}: {value}" for name, value in _flat(settings)),
        f"{len(tensors)} tensors of {numbers} numbers, norm of all {square**0.5:.4g}:",
        *_aligned([("tensor", "shape", "norm", "largest"), *rows]),
    ]
    return "\n".join(lines)


def _flat(settings: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested settings as one level, their names joined by dots."""
    found: list[tuple[str, str]] = []
    for name, value in settings.items():
        if isinstance(value, dict):
            found += _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            found.append((prefix + name, ", ".join(map(str, value))))
        else:
            found.append((prefix + name, str(value)))
    return found


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
