"""The command `lora-envar`: what the rules do with a file, for people who have one in hand."""

import argparse
import sys
from pathlib import Path

RESOURCES = Path(__file__).resolve().parents[2] / "resources"


def main(arguments: list[str] | None = None) -> int:
    """Run a subcommand; input that cannot be used ends in one line and status 1."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        print(f"lora-envar {options.command}: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lora-envar", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    decode = commands.add_parser(
        "decode", help="PrepBUFR to a table of observations, checked, and why data are rejected"
    )
    decode.add_argument("file", help="PrepBUFR file")
    decode.add_argument("out", help="netCDF file to write")
    decode.add_argument("--categories", nargs="+", metavar="NAME", help="message categories to read (ADPUPA, ...); all")
    decode.add_argument("--half-window", type=float, default=3.0, metavar="HOURS", help="around the cycle; 3")
    decode.add_argument("--largest-quality-mark", type=int, default=2, metavar="MARK", help="NCEP's; 2")
    decode.add_argument("--thinning-km", type=float, metavar="KM", help="one datum a cell of this size; all")
    decode.add_argument("--orography", metavar="FILE", help="netCDF with the height of the model's surface; none")
    decode.add_argument("--error-table", default=RESOURCES / "observation_errors.csv", metavar="FILE", help="CSV")
    decode.set_defaults(run=_decode)

    state = commands.add_parser("state", help="GRIB or netCDF to states of 69 channels, or what they lack")
    state.add_argument("out", help="netCDF file to write")
    state.add_argument("files", nargs="+", metavar="FILE", help="GRIB 1 or 2, or netCDF")
    state.add_argument("--derive", nargs="+", default=[], choices=["u10", "v10", "t2m", "msl"], help="where missing")
    state.add_argument("--interpolate-levels", action="store_true", help="levels that lie between others")
    state.add_argument("--member", type=int, metavar="NUMBER", help="of an ensemble")
    state.add_argument("--grid", nargs=3, metavar=("KIND", "LAT", "LON"), help="to bring them to, as gaussian 32 64")
    state.set_defaults(run=_state)

    show = commands.add_parser("show", help="a figure of any netCDF file of the workflow")
    show.add_argument("file", help="states, observations, forecast errors, or a packed archive")
    show.add_argument("--out", metavar="FILE.png", help="beside the file, with its name, if not given")
    show.add_argument("--channel", default="z500", metavar="NAME", help="of states; z500")
    show.add_argument("--time", metavar="TIME", help="of states, as 2022-01-31T18; the first")
    show.set_defaults(run=_show)
    return parser


def _decode(options):
    from .observations.prepbufr import ALL
    from .observations.quality import QualitySettings, select, summary
    from .observations.reports import at_times, decode
    from .observations.table import write_observations

    table = decode(options.file, options.categories or ALL, options.error_table, options.orography)
    table = at_times(table, sorted(set(table.time.tolist())), options.half_window)
    settings = QualitySettings(
        largest_quality_mark=options.largest_quality_mark, thinning_km=options.thinning_km, withheld=0.0
    )
    table = select(table, settings)
    print(summary(table))
    write_observations(options.out, table)
    print(f"{options.out}: {len(table)} data, {int((table.rejection == 0).sum())} of them usable")


def _state(options):
    from .archive.layout import Options, in_words
    from .archive.prepare import read_states
    from .grid import Grid
    from .state_file import write_states

    grid = options.grid and Grid(options.grid[0], int(options.grid[1]), int(options.grid[2]))
    wanted = Options(tuple(options.derive), options.member, options.interpolate_levels)
    found = read_states(options.files, grid, wanted, partial=True)
    print("\n".join(found.report))
    if found.missing:
        raise ValueError(f"{in_words(found.missing)} missing, nothing is written; add files, or see --derive")
    if found.grid is None:
        raise ValueError("the files' grid is of no kind that the workflow computes on, nothing is written; see --grid")
    write_states(options.out, found.fields, found.times, found.grid)
    print(options.out)


def _show(options):
    import netCDF4
    import pandas as pd

    from .observations.table import read_observations
    from .state import CHANNELS, channel_index
    from .state_file import StateFile, read_per_channel
    from .verification import figures

    source, out = Path(options.file), Path(options.out or Path(options.file).with_suffix(".png"))
    try:
        with netCDF4.Dataset(source) as dataset:
            names = set(dataset.variables)
    except OSError as error:
        raise ValueError(f"{source}: cannot be read as netCDF ({error})") from error
    coastline = pd.read_csv(RESOURCES / "coastline.csv")
    if "rejection" in names:
        figures.observation_maps(out, str(source), read_observations(source), coastline)
    elif "error" in names and "standard_deviation" in names:
        title = f"{source}: standard deviation of forecast errors"
        figures.deviation_profile(out, title, read_per_channel(source, "standard_deviation"))
    elif names & {"geopotential", "packed", "coefficients"}:
        try:
            channel = CHANNELS[channel_index(options.channel)]
        except KeyError as error:
            raise ValueError(error.args[0]) from None
        if "geopotential" in names:
            file = StateFile(source)
            time = _chosen(file.times, options.time, source)
            grid, state = file.grid, file.read(time)
        else:
            grid, time, state = _unpacked(source, options.time)
        title = f"{source}: {channel.name}, {time:%Y-%m-%d %H} UTC"
        figures.state_map(out, title, grid, state[channel_index(channel.name)], channel, coastline)
    else:
        raise ValueError(f"{source}: holds {', '.join(sorted(names))}, which no file of the workflow does")
    print(out)


def _chosen(times, wanted, source):
    from .timeline import parse

    if wanted is None:
        return times[0]
    if parse(wanted) not in times:
        raise ValueError(
            f"{source}: has no state valid at {wanted}; it has {times[0]:%Y-%m-%dT%H} to {times[-1]:%Y-%m-%dT%H}"
        )
    return parse(wanted)


def _unpacked(source, wanted):
    from .archive.nature import NATURE_GRID, NATURE_TRUNCATION
    from .archive.packed import read_coefficients
    from .grid import SphericalHarmonics
    from .timeline import from_hours

    stamps, coefficients = read_coefficients(source)
    times = [from_hours(int(hours)) for hours in stamps.astype("int64")]
    time = _chosen(times, wanted, source)
    field = SphericalHarmonics(NATURE_GRID, NATURE_TRUNCATION).synthesise(coefficients[times.index(time)])
    return NATURE_GRID, time, field.numpy()


if __name__ == "__main__":
    sys.exit(main())
