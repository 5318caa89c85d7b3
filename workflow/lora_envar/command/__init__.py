"""The command `lora-envar`: applies steps of the workflow to single files."""

import argparse
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from .. import __version__
from ..fields.timeline import parse
from .outputs import check_folder, check_output, check_store

if TYPE_CHECKING:
    from ..fields.grid import Grid
    from ..observations.table import Observations

#: what ships with the workflow
RESOURCES = Path(__file__).resolve().parents[3] / "resources"


def main(arguments: list[str] | None = None) -> int:
    """Run a subcommand; input that cannot be used leads to a message of one line and status 1."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        said = " ".join(str(error).split())
        if not RESOURCES.is_dir():
            said += "; the files that ship with the workflow are missing: install it from a clone, by pip install -e ."
        print(f"lora-envar {options.command}: {said}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lora-envar", description=__doc__)
    parser.add_argument("--version", action="version", version=f"lora-envar {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)

    decode = commands.add_parser(
        "decode", help="turn a file of observations into a checked table, and say which data are rejected and why"
    )
    decode.add_argument("file", metavar="FILE", help="PrepBUFR, radio occultations in BUFR, CSV or Parquet")
    decode.add_argument("-o", "--out", metavar="OUT", required=True, help="netCDF file to write")
    decode.add_argument("--categories", nargs="+", metavar="NAME", help="PrepBUFR messages, as ADPUPA; default: all")
    hours = "half the width of the window around the cycle; default: 3"
    decode.add_argument("--half-window", type=_positive, default=3.0, metavar="HOURS", help=hours)
    mark = "largest of NCEP's quality marks that is used; default: 2"
    decode.add_argument("--largest-quality-mark", type=int, default=2, metavar="MARK", help=mark)
    decode.add_argument("--thinning-km", type=_positive, metavar="KM", help="keep one datum per cell of this size")
    decode.add_argument(
        "--orography", metavar="FILE", help="netCDF or GRIB file with the height of the model's surface"
    )
    errors = "CSV with observation errors; default: resources/observation_errors.csv"
    decode.add_argument("--error-table", default=RESOURCES / "observation_errors.csv", metavar="FILE", help=errors)
    decode.set_defaults(run=_decode)

    state = commands.add_parser("state", help="turn GRIB or netCDF files into states of 69 channels")
    state.add_argument("files", nargs="+", metavar="FILE", help="a file in GRIB (1 or 2) or netCDF")
    state.add_argument("-o", "--out", metavar="OUT", required=True, help="netCDF file to write")
    derive = "variables to derive from 1000 hPa where they are missing"
    state.add_argument("--derive", nargs="+", default=[], choices=["u10", "v10", "t2m", "msl"], help=derive)
    state.add_argument("--interpolate-levels", action="store_true", help="interpolate levels that are missing")
    state.add_argument("--member", type=int, metavar="NUMBER", help="ensemble member to read")
    state.add_argument("--grid", nargs=3, metavar=("KIND", "LAT", "LON"), help="interpolate to it, as gaussian 32 64")
    state.set_defaults(run=_state)

    show = commands.add_parser("show", help="draw any netCDF file of the workflow, or describe a file of weights")
    shown = "states, observations, forecast errors, increments, a packed archive, or weights"
    show.add_argument("file", metavar="FILE", help=shown)
    show.add_argument("-o", "--out", metavar="OUT", help="PNG file to write; default: FILE, ending in .png")
    show.add_argument("--channel", default="z500", metavar="NAME", help="channel of the states; default: z500")
    show.add_argument("--time", metavar="TIME", help="valid time, as 2022-01-31T18; default: the first in the file")
    show.set_defaults(run=_show)

    export = commands.add_parser("export", help="export states for WeatherBench-X, or departures for JEDI (IODA)")
    export.add_argument("--to", choices=["weatherbench-x", "ioda"], required=True, help="format to write")
    results = "results/{experiment}, or folders of its cycles; for weatherbench-x also results/archive, the truth"
    export.add_argument("results", nargs="+", metavar="RESULTS", help=results)
    export.add_argument("-o", "--out", metavar="OUT", required=True, help="netCDF file to write; for ioda, a folder")
    export.set_defaults(run=_export)

    store = commands.add_parser(
        "make-store", help="write a nature run as a Zarr store in the layout of WeatherBench 2, for rehearsals"
    )
    store.add_argument("-o", "--out", metavar="OUT", required=True, help="folder to write, as era5.zarr")
    shipped = RESOURCES / "example" / "archive.nc"
    store.add_argument("--archive", default=shipped, metavar="FILE", help="packed archive; default: the example's")
    points = "points of the grid; default: 64 32; an odd LAT includes both poles"
    store.add_argument("--points", nargs=2, type=int, metavar=("LON", "LAT"), help=points)
    store.add_argument("--start", type=_time, metavar="TIME", help="first state, as 2009-05-05T00; default: all")
    store.add_argument("--end", type=_time, metavar="TIME", help="last state; default: all")
    store.set_defaults(run=_make_store)

    single = commands.add_parser(
        "single", help="compute and draw the increments that single observations cause in finished experiments"
    )
    single.add_argument("observations", nargs="+", metavar="OBSERVATION", help="as z500@45N,30W+100 or t2m@30S,120E")
    single.add_argument("--config", nargs="+", required=True, metavar="FILE", help="configuration of the run, in order")
    single.add_argument("--experiment", required=True, metavar="NAME[,NAME...]", help="experiments run in this folder")
    single.add_argument("--time", required=True, metavar="TIME[,TIME...]", help="cycles, as 2009-05-01T06")
    assumed = "observation error; default: that of the experiments' networks"
    single.add_argument("--error", type=_positive, metavar="NUMBER", help=assumed)
    single.add_argument(
        "-o", "--out", metavar="OUT", required=True, help="netCDF file to write, with figures beside it"
    )
    single.set_defaults(run=_single)

    schema = commands.add_parser("schema", help="print the schema of the configuration, for editors")
    schema.set_defaults(run=_schema)
    return parser


def _positive(text: str) -> float:
    """A number above zero."""
    try:
        number = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not above zero")
    return number


def _time(text: str) -> datetime:
    try:
        return parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _use_one_thread() -> None:
    """Use one thread, as the rules do, so that results are the same bytes on any number of cores."""
    from ..runtime.step import fix_rounding

    fix_rounding()
    import torch

    torch.set_num_threads(1)


def _grid(kind: str, latitudes: str, longitudes: str) -> "Grid":
    """The grid that three words describe."""
    from ..fields.grid import Grid

    if not (latitudes.isdecimal() and longitudes.isdecimal()):
        raise ValueError(f"--grid: {latitudes} and {longitudes} must be numbers of points; write it as gaussian 32 64")
    return Grid(kind, int(latitudes), int(longitudes))


def _decode(options: argparse.Namespace) -> None:
    from ..observations.quality import QualitySettings, select, summary
    from ..observations.reports import at_times, outside_of_windows
    from ..observations.table import write_observations

    check_output(options.out, [options.file, options.orography, options.error_table], "observations")
    decoded = _decoded(options)
    if not len(decoded):
        what = f"of {', '.join(options.categories)} " if options.categories else ""
        raise ValueError(
            f"{options.file} has no data {what}that belong to variables of the state, so nothing is written"
        )
    times = sorted(set(decoded.time.tolist()))
    outside = outside_of_windows(decoded, times, options.half_window)
    table = at_times(decoded, times, options.half_window)
    if not len(table):
        raise ValueError(
            f"{options.file}: all of its {outside} data are outside the window of {options.half_window:g} h around its "
            "cycle, so nothing is written; give a wider one with --half-window"
        )
    settings = QualitySettings(
        largest_quality_mark=options.largest_quality_mark, thinning_km=options.thinning_km, withheld=0.0
    )
    table = select(table, settings)
    print(summary(table, outside))
    write_observations(options.out, table, {"title": f"Checked reports of {Path(options.file).name}"})
    print(f"{options.out}: {len(table)} data, of which {int((table.rejection == 0).sum())} can be used")


def _decoded(options: argparse.Namespace) -> "Observations":
    """Data of a PrepBUFR file, of radio occultations in BUFR, or of a table in CSV or Parquet."""
    from ..files.kinds import BUFR, PARQUET, kind_of
    from ..observations.brought_tables import CSV_KINDS, read_tables
    from ..observations.error_table import ErrorTable
    from ..observations.occultations import is_occultations
    from ..observations.prepbufr import ALL
    from ..observations.reports import Decoding, decode

    kind = kind_of(options.file)[0] if Path(options.file).is_file() else None
    if kind not in (*CSV_KINDS, PARQUET) and not (kind == BUFR and is_occultations(options.file)):
        how = Decoding(options.error_table, options.orography, options.categories or ALL)
        return decode(options.file, how)
    for name in ("categories", "orography"):
        if getattr(options, name):
            raise ValueError(f"{options.file} is {kind}, but --{name} is only for PrepBUFR; leave it out")
    return read_tables([options.file], ErrorTable(options.error_table))


def _state(options: argparse.Namespace) -> None:
    from ..archive.layout import Options, describe_channels
    from ..archive.prepare import read_states
    from ..files.state_file import write_states

    check_output(options.out, options.files, "states")
    _use_one_thread()
    grid = _grid(*options.grid) if options.grid else None
    wanted = Options(tuple(options.derive), options.member, options.interpolate_levels)
    found = read_states(options.files, grid, wanted, partial=True)
    print("\n".join(found.report))
    if found.missing:
        raise ValueError(
            f"there is no {describe_channels(found.missing)}, so nothing is written; add files, or see --derive"
        )
    if found.grid is None:
        raise ValueError(
            "the workflow cannot compute on the grid of the files, so nothing is written; give another with --grid"
        )
    write_states(options.out, found.fields, found.times, found.grid)
    print(options.out)


def _show(options: argparse.Namespace) -> None:
    from .show import show

    print(show(options.file, options.out, options.channel, options.time, RESOURCES / "coastline.csv"))


def _export(options: argparse.Namespace) -> None:
    from ..export.ioda import export_departures
    from ..export.results import find_cycles, is_experiment
    from ..export.weatherbench import export_predictions, export_targets, state_files

    out = Path(options.out)
    if options.to == "ioda":
        cycles = find_cycles(options.results)
        check_folder(out, cycles.experiment)
        done = export_departures(cycles, out)
        lacking = [cycles.shortfall("observations.nc")]
    elif any(is_experiment(path) for path in options.results) or not all(map(state_files, options.results)):
        cycles = find_cycles(options.results)
        names = ("analysis.nc", "forecast.nc")
        inputs = [path for name in names for path in cycles.files(name).values()]
        check_output(out, inputs, "predictions")
        done = export_predictions(cycles, out)
        lacking = [cycles.shortfall(name) for name in names]
    else:
        check_output(out, [file for path in options.results for file in state_files(path)], "states")
        done = export_targets(options.results, out)
        lacking = []
    print("\n".join([*filter(None, lacking), f"{out}: {done}"]))


def _make_store(options: argparse.Namespace) -> None:
    from ..export.store import POINTS, TITLE, make_store

    check_store(options.out, TITLE)
    _use_one_thread()
    points = tuple(options.points) if options.points else POINTS
    print(f"{options.out}: {make_store(options.archive, options.out, points, options.start, options.end)}")


def _single(options: argparse.Namespace) -> None:
    from .single import single

    _use_one_thread()
    single(
        options.observations,
        options.config,
        options.experiment.split(","),
        options.time.split(","),
        options.error,
        options.out,
        RESOURCES,
    )


def _schema(options: argparse.Namespace) -> None:
    import yaml

    from ..plan.schema import complete_schema

    print(yaml.safe_dump(complete_schema(), sort_keys=False), end="")


if __name__ == "__main__":
    sys.exit(main())
