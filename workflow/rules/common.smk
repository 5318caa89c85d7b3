from datetime import timedelta
from functools import cache

# the package works installed; where it is not (a rule's conda environment), its folder is found by this
sys.path.insert(0, str((Path(workflow.current_basedir) / "..").resolve()))

from lora_envar.analysis import METHODS
from lora_envar.plan.belonging import OtherExperimentError, record, refuse_another
from lora_envar.plan.brought import (
    digests,
    missing_files,
    missing_lines,
    named_files,
)
from lora_envar.plan.configuration import (
    ConfigurationError,
    check,
    ensemble_sizes,
    finer_period,
    with_found_settings,
)
from lora_envar.forecast import TWO_FRAMES, model_files
from lora_envar.plan.schema import check_schema, check_settings
from lora_envar.plan.replicates import expand as expand_replicates
from lora_envar.runtime.step import prepare_environment
from lora_envar.runtime.patches import apply_patches
from lora_envar.plan.search import candidates
from lora_envar.fields.timeline import (
    from_hours,
    name as time_name,
    parse as parse_time,
    shift,
    times,
    year_before,
)


def refuse(*messages):
    """End with a line each, the last that are seen."""
    sys.exit("\n".join(f"error: {message}" for message in messages))


try:
    check_schema(config)
    with_found_settings(config)
    expand_replicates(config)
    check(config)
    check_settings(config)
except ConfigurationError as error:
    refuse(f"the configuration cannot be run. {error}")

try:
    refuse_another(config)
except OtherExperimentError as error:
    refuse(str(error))

apply_patches()
prepare_environment(config.get("warm_start", True))

# hours between the two frames from which some forecast models start
FRAME_HOURS = TWO_FRAMES.get(config["forecast_model"]["name"], 0)
TRAINING_FRAME_HOURS = TWO_FRAMES.get(
    config.get("training", config)["forecast_model"]["name"], 0
)

# what is compared, what is a candidate of a search, and both
COMPARED = config["experiments"]
CANDIDATES = candidates(config)
EXPERIMENTS = {**COMPARED, **CANDIDATES}
STEP = config["cycling"]["step_hours"]
ARCHIVE_START = parse_time(config["archive"]["start"])
ARCHIVE_END = parse_time(config["archive"]["end"])
FINER = finer_period(config)
# where forecast errors are drawn: at a scale of their own, or that of the cycles
TRAINING = config.get(
    "training", {name: config[name] for name in ("grid", "archive", "forecast_model")}
)
NMC_START = parse_time(config["nmc"]["start"])
NMC_END = parse_time(config["nmc"]["end"])


wildcard_constraints:
    experiment="|".join(EXPERIMENTS),
    network="|".join(config["observations"]),
    time=r"\d{8}T\d{2}",
    block=r"(finer_|training_)?\d{8}",
    day=r"\d{8}",


def blocks_between(first, last, start, block_days):
    """Names of the blocks of `block_days` days, counted from `start`, that hold the times from first to last."""
    span = timedelta(days=block_days)
    count = range((first - start) // span, (last - start) // span + 1)
    return [f"{start + index * span:%Y%m%d}" for index in count]


def block_times(block, start, end, block_days, step_hours):
    """The times of a block, from `start` to `end` at most."""
    day = parse_day(block.rpartition("_")[2]).date()
    origin = start + timedelta(days=(day - start.date()).days)
    last = min(origin + timedelta(days=block_days) - timedelta(hours=1), end)
    step = timedelta(hours=step_hours)
    first = start + max(0, -((start - origin) // step)) * step
    return times(first, last, step_hours)


def parse_day(text):
    return parse_time(f"{text}T00")


def archive_files(first, last):
    """Files of the archive that hold the states from first to last, of its finer period where that holds both."""
    days = config["archive"]["block_days"]
    if FINER and FINER[0] <= first and last <= FINER[1]:
        names = blocks_between(first, last, FINER[0], days)
        blocks = [f"finer_{name}" for name in names]
    else:
        blocks = blocks_between(first, last, ARCHIVE_START, days)
    return expand("results/archive/states/{block}.nc", block=blocks)


def training_files(first, last):
    """Files of the states from first to last, of which forecast errors are drawn."""
    if "training" not in config:
        return archive_files(first, last)
    archive = TRAINING["archive"]
    blocks = blocks_between(
        first, last, parse_time(archive["start"]), archive["block_days"]
    )
    return expand("results/archive/states/training_{block}.nc", block=blocks)


def archive_end(time):
    """The last state of what a time's experiment is judged with."""
    return FINER[1] if FINER and FINER[0] <= time <= FINER[1] else ARCHIVE_END


@cache
def period(experiment):
    return [parse_time(text) for text in EXPERIMENTS[experiment]["period"]]


@cache
def cycles(experiment):
    """Names of an experiment's analysis times."""
    return [time_name(time) for time in times(*period(experiment), STEP)]


def method_of(experiment):
    return METHODS[EXPERIMENTS[experiment]["method"]]


def settings(experiment):
    """The method's settings with what the experiment replaces."""
    entry = EXPERIMENTS[experiment]
    own = entry.get("settings", {})
    return {**config["methods"].get(entry["method"], {}), **own}


@cache
def forecast_starts(experiment):
    """Analysis times after the spin-up from which medium-range forecasts start."""
    wanted = config["verification"].get("forecast")
    if not wanted or experiment in CANDIDATES:
        return []
    scored = cycles(experiment)[config["verification"]["spin_up_cycles"] :]
    lead = timedelta(hours=max(wanted["lead_hours"]))
    starts = scored[:: max(1, wanted["every_hours"] // STEP)]
    return [
        start
        for start in starts
        if parse_time(start) + lead <= archive_end(parse_time(start))
    ]


def present(*paths):
    """Files that are brought, less those that are missing; their contents count, not their times (`digests`)."""
    there = [path for path in paths if path and Path(path).exists()]
    return ancient(there[0] if len(paths) == 1 and there else there)


def kept(path):
    """A path that is removed after its last use unless the configuration keeps it."""
    return path if config["cycling"]["keep_forecasts"] else temp(path)


def first_scored_cycles():
    """The first scored cycle of every experiment."""
    first = config["verification"]["spin_up_cycles"]
    return {name: cycles(name)[first] for name in COMPARED}
