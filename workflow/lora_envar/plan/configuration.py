"""What the schema of the configuration cannot say: relations between keys. Each error names its key."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from ..analysis import METHODS
from ..archive import SOURCES
from ..fields.timeline import name as time_name
from ..fields.timeline import parse, year_before
from ..files.provenance import group
from ..forecast import check_model
from ..observations import NETWORKS
from ..observations.families import known_groups
from ..verification import ROLLOUT_HOURS
from .alignment import AlignmentError, check_alignment, step_of
from .completion import ConfigurationError
from .experiments import ensemble_sizes
from .models import places
from .periods import Period, check_within, finer_period, held_by, period_of
from .search import PREFIX, candidates
from .trainings import check_training, check_vae


def _check_methods(config: dict[str, Any]) -> None:
    """Every method in use has all its settings, from `methods` or `found_settings`, and no experiment has others."""
    for name, experiment in {**config["experiments"], **candidates(config)}.items():
        method = experiment["method"]
        key = f"experiments.{name}.settings"
        if method not in METHODS or not METHODS[method].setting_names():
            continue
        own = experiment.get("settings", {})
        known = METHODS[method].setting_names()
        unknown = sorted(set(own) - set(known))
        if unknown:
            raise ConfigurationError(f"{key}: unknown settings {', '.join(unknown)}; {method} has {', '.join(known)}")
        if method not in config["methods"]:
            raise ConfigurationError(
                f"methods.{method}: missing; experiments.{name} uses this method, give its settings"
            )
        needed = METHODS[method].needed_settings()
        missing = [setting for setting in needed if setting not in {**config["methods"][method], **own}]
        if missing:
            raise ConfigurationError(
                f"methods.{method}.{missing[0]}: missing, both here and in found_settings; give it, because "
                f"experiments.{name} needs {', '.join(needed)}"
            )


def check(config: dict[str, Any]) -> None:
    """Refuse a configuration that fits the schema and yet cannot be run.

    Raises
    ------
    ConfigurationError
        Naming the key, what was found, and what to do.
    """
    archive = period_of("archive.start", config["archive"]["start"], "archive.end", config["archive"]["end"])
    nmc = period_of("nmc.start", config["nmc"]["start"], "nmc.end", config["nmc"]["end"])
    held = archive
    if "training" in config:
        section = config["training"]["archive"]
        held = period_of("training.archive.start", section["start"], "training.archive.end", section["end"])
    try:
        check_alignment(config)
    except AlignmentError as error:
        raise ConfigurationError(str(error)) from None
    _check_sources(config)
    check_within("nmc.start", nmc[0], held)
    check_within("nmc.end plus 2 nmc.tau_hours", nmc[1] + timedelta(hours=2 * config["nmc"]["tau_hours"]), held)
    finer = finer_period(config)
    if finer:
        check_within("archive.finer.start", finer[0], archive)
        check_within("archive.finer.end", finer[1], archive)
    for place in places(config):
        try:
            check_model(**place.section)
        except ValueError as error:
            raise ConfigurationError(f"{place.key}: {error}") from None
        check_training(place, config)
    if "train" in config["archive"].get("forecast_model", {}):
        raise ConfigurationError(
            "archive.forecast_model.train: the truth cannot be made by a model that is trained on it; give `weights`"
        )
    _check_methods(config)
    for name in config["vaes"]:
        check_vae(name, config)
    _check_observations(config["observations"], config["grid"]["latitudes"] * config["grid"]["longitudes"])
    step = config["cycling"]["step_hours"]
    spin_up = config["verification"]["spin_up_cycles"]
    for name, experiment in config["experiments"].items():
        _check_experiment(name, experiment, config, archive, step, spin_up)
    _check_search(config, archive, step)
    first = min(parse(experiment["period"][0]) for experiment in config["experiments"].values())
    held = finer if finer and finer[0] <= first <= finer[1] else archive
    rollout = config["verification"].get("rollout_hours", ROLLOUT_HOURS)
    what = f"the first of experiments.*.period plus {rollout} h (verification.rollout_hours)"
    check_within(what, first + timedelta(hours=rollout), held)
    _check_segments(config.get("example", {}).get("segments", {}))
    names = list(dict.fromkeys(map(group, config["experiments"])))
    for reference in config["verification"]["references"]:
        if reference not in names:
            raise ConfigurationError(
                f"verification.references: {reference!r} is not an experiment; known: {', '.join(names)}"
            )


def _check_sources(config: dict[str, Any]) -> None:
    """Check the settings of archives as their sources require."""
    sections = {"archive": config["archive"]}
    if "training" in config:
        sections["training.archive"] = config["training"]["archive"]
    for key, section in sections.items():
        try:
            SOURCES[section["source"]].check(section)
        except ValueError as error:
            raise ConfigurationError(f"{key}.{error}") from None


def _check_experiment(
    name: str, experiment: dict[str, Any], config: dict[str, Any], archive: Period, step: int, spin_up: int
) -> None:
    key = f"experiments.{name}"
    method = experiment["method"]
    if method not in METHODS:
        raise ConfigurationError(f"{key}.method: {method!r} is unknown; known: {', '.join(METHODS)}")
    shared = "ensemble_of" in experiment
    for entry, wanted in (
        ("rank", METHODS[method].ranked),
        ("ensemble_size", METHODS[method].cycled_ensemble or (METHODS[method].ensemble and not shared)),
        ("vae", bool(METHODS[method].vae_files)),
    ):
        if (entry in experiment) != wanted:
            what = f"method {method}" + (" and ensemble_of" if shared and not wanted else "")
            raise ConfigurationError(
                f"{key}.{entry}: missing; {what} needs it" if wanted else f"{key}.{entry}: not allowed with {what}"
            )
    unknown = sorted(set(experiment.get("without", ())) - set(known_groups()))
    if unknown:
        raise ConfigurationError(f"{key}.without: unknown {', '.join(unknown)}; known: {', '.join(known_groups())}")
    if "without" in experiment and not METHODS[method].assimilates:
        raise ConfigurationError(f"{key}.without: not allowed with method {method}, which uses no observations")
    if "vae" in experiment and experiment["vae"] not in config["vaes"]:
        raise ConfigurationError(f"{key}.vae: {experiment['vae']!r} is unknown; vaes has {', '.join(config['vaes'])}")
    _check_donor(key, experiment, config)
    if shared:
        _check_shared_ensemble(key, experiment, config)
    if METHODS[method].cycled_ensemble:
        _check_cycled_ensemble(key, experiment, config)
    if experiment["observations"] not in config["observations"]:
        raise ConfigurationError(
            f"{key}.observations: {experiment['observations']!r} is unknown; observations has "
            f"{', '.join(config['observations'])}"
        )
    first, last = period_of(f"{key}.period[0]", experiment["period"][0], f"{key}.period[1]", experiment["period"][1])
    archive, archive_step = held_by(f"{key}.period", first, last, config, archive)
    span = _check_window(key, experiment, config, step, archive_step)
    check_within(f"{key}.period[1]{' plus its window' if span else ''}", last + span, archive)
    lead = timedelta(hours=config["cycling"]["first_guess_hours"])
    check_within(f"{key}.period[0] less cycling.first_guess_hours", first - lead, archive)
    lags, last_year = ensemble_sizes(experiment)
    if experiment.get("background") == "single_step":
        check_within(f"{key}.period[0] less the ensemble's lags", first - timedelta(hours=step * lags), archive)
    if last_year:
        before = parse(year_before(time_name(first))) - timedelta(hours=step * last_year)
        check_within(f"{key}.ensemble_size.last_year: its first forecast", before, archive)
    if (last - first) % timedelta(hours=step):
        raise ConfigurationError(
            f"{key}.period: not a whole number of cycles of {step} h; change the first or the last"
        )
    cycles = (last - first) // timedelta(hours=step) + 1
    if cycles <= spin_up:
        raise ConfigurationError(
            f"{key}.period: {cycles} cycles, which all belong to verification.spin_up_cycles ({spin_up}), so that none "
            "is scored; make it longer"
        )


def _check_shared_ensemble(key: str, experiment: dict[str, Any], config: dict[str, Any]) -> None:
    """An experiment with a filter's members needs a filter that has them in all cycles, and has no lagged members."""
    method = experiment["method"]
    name = experiment["ensemble_of"]
    if not METHODS[method].ensemble:
        raise ConfigurationError(f"{key}.ensemble_of: not allowed with method {method}")
    other = config["experiments"].get(name, {})
    if other.get("method") not in METHODS or not METHODS[other["method"]].cycled_ensemble:
        raise ConfigurationError(
            f"{key}.ensemble_of: {name!r} is not an experiment that cycles an ensemble; name one with method letkf"
        )
    chosen = {**config["methods"].get(method, {}), **experiment.get("settings", {})}
    if chosen.get("member_source", "own") == "nmc":
        raise ConfigurationError(
            f"{key}.ensemble_of: not allowed with member_source: nmc; set member_source: own for the members of the "
            "cycle, or other_days"
        )
    if experiment.get("background") == "single_step":
        raise ConfigurationError(f"{key}.ensemble_of: not allowed with background: single_step; use ensemble_size")
    first, last = map(parse, experiment["period"])
    since, until = map(parse, other["period"])
    if first < since or until < last or (first - since) % timedelta(hours=config["cycling"]["step_hours"]):
        raise ConfigurationError(
            f"{key}.period: {' to '.join(experiment['period'])} has cycles that {name} lacks; choose cycles of {name} "
            f"({' to '.join(other['period'])}), whose members are used"
        )


def _check_cycled_ensemble(key: str, experiment: dict[str, Any], config: dict[str, Any]) -> None:
    """A cycled ensemble needs a size, cycles, and errors of the forecast model over one cycle."""
    method = experiment["method"]
    if isinstance(experiment["ensemble_size"], dict):
        raise ConfigurationError(
            f"{key}.ensemble_size: lags and last_year are for time-lagged ensembles, but {method} cycles an ensemble "
            "of its own; give a number of members"
        )
    if experiment.get("background") == "single_step":
        raise ConfigurationError(
            f"{key}.background: single_step is not allowed with method {method}, whose ensemble is cycled"
        )
    if "window" in experiment:
        raise ConfigurationError(
            f"{key}.window: not allowed with method {method}, which uses all observations at the analysis time"
        )
    step = config["cycling"]["step_hours"]
    if step > 2 * config["nmc"]["tau_hours"]:
        raise ConfigurationError(
            f"cycling.step_hours: {step} h is longer than 2 nmc.tau_hours; increase nmc.tau_hours, because {method} "
            f"({key}) samples errors of the forecast model over {step} h, and the archive may not reach so far beyond "
            "nmc.end"
        )
    if "training" in config:
        for name, hours in (
            ("archive.step_hours", config["training"]["archive"]["step_hours"]),
            ("forecast_model (its step)", step_of(config["training"]["forecast_model"])),
        ):
            if hours and step % hours:
                raise ConfigurationError(
                    f"training.{name}: {hours} h does not divide cycling.step_hours, {step} h, the time over which "
                    f"{method} ({key}) samples errors of the forecast model"
                )


def _check_window(
    key: str, experiment: dict[str, Any], config: dict[str, Any], step: int, archive_step: int
) -> timedelta:
    """Check the window, from the analysis time to its last observation."""
    if "window" not in experiment:
        return timedelta(0)
    windows = config.get("windows", {})
    window = windows.get(experiment["window"])
    if window is None:
        known = ", ".join(windows) or "none"
        raise ConfigurationError(f"{key}.window: {experiment['window']!r} is unknown; windows has {known}")
    entry = f"windows.{experiment['window']}"
    if window["slots"] * window["slot_hours"] > step:
        raise ConfigurationError(
            f"{entry}: {window['slots']} slots of {window['slot_hours']} h are longer than cycling.step_hours "
            f"({step} h), so that observations would be used twice; reduce slots or slot_hours"
        )
    if "training" in config and "measured_in" not in window:
        raise ConfigurationError(
            f"{entry}.measured_in: missing; give a period of archive, because nmc is one of training"
        )
    measured = window.get("measured_in", config["nmc"])
    start, end = period_of(f"{entry}.measured_in.start", measured["start"], f"{entry}.measured_in.end", measured["end"])
    whole = period_of("archive.start", config["archive"]["start"], "archive.end", config["archive"]["end"])
    held, measured_step = held_by(f"{entry}.measured_in", start, end, config, whole)
    check_within(f"{entry}.measured_in.start", start, held)
    check_within(f"{entry}.measured_in.end", end, held)
    for what, states in ((f"{key}.period", archive_step), (f"{entry}.measured_in", measured_step)):
        if window["slot_hours"] % states:
            raise ConfigurationError(
                f"{entry}.slot_hours: {window['slot_hours']} h is not a multiple of the {states} h between the "
                f"archive's states in {what} (archive.step_hours, archive.finer)"
            )
    return timedelta(hours=(window["slots"] - 1) * window["slot_hours"])


def _check_search(config: dict[str, Any], archive: Period, step: int) -> None:
    """Candidates must be able to run, and on no day of the period for which they are chosen."""
    for name, experiment in candidates(config).items():
        _check_experiment(name, experiment, config, archive, step, config["search"]["spin_up_cycles"])
    for name, experiment in config["experiments"].items():
        if name.startswith(PREFIX):
            raise ConfigurationError(f"experiments.{name}: names that begin with {PREFIX} are reserved for candidates")
        if config.get("search"):
            start, end = map(parse, config["search"]["period"])
            first, last = map(parse, experiment["period"])
            if start <= last and first <= end:
                raise ConfigurationError(
                    f"search.period: {' to '.join(config['search']['period'])} overlaps with experiments.{name}.period"
                    "; choose another"
                )


def _check_donor(key: str, experiment: dict[str, Any], config: dict[str, Any]) -> None:
    """The donor of members must have an ensemble, and enough cycles that members of another day are independent."""
    chosen = {**config["methods"].get(experiment["method"], {}), **experiment.get("settings", {})}
    wanted = chosen.get("member_source") == "other_days" and "ensemble_of" not in experiment
    source = "member_source: other_days in the settings"
    if wanted and "donor" not in experiment:
        raise ConfigurationError(f"{key}.donor: missing; {source} needs it")
    if "donor" in experiment and not wanted:
        raise ConfigurationError(f"{key}.donor: not allowed without {source}, or with ensemble_of")
    if not wanted:
        return
    donor = config["experiments"].get(experiment["donor"], {})
    lagged = donor.get("method") in METHODS and METHODS[donor["method"]].ensemble
    if not lagged or "ensemble_size" not in donor or "donor" in donor:
        raise ConfigurationError(f"{key}.donor: {experiment['donor']!r} has no ensemble of its own; name one that has")
    first, last = map(parse, donor["period"])
    count = (last - first) // timedelta(hours=config["cycling"]["step_hours"]) + 1
    enough = 3 * ensemble_sizes(donor)[0]
    if count < enough:
        raise ConfigurationError(
            f"{key}.donor: {experiment['donor']} has {count} cycles, but members of other days need three times its "
            f"ensemble size, {enough}"
        )


def _check_observations(networks: dict[str, dict[str, Any]], points: int) -> None:
    """Check that the networks can be used and that their files exist."""
    for name, network in networks.items():
        try:
            NETWORKS[network["source"]].check(network, points)
        except ValueError as error:
            raise ConfigurationError(f"observations.{name}.{error}") from None
        for key in ("error_table", "orography", "stations"):
            if network.get(key) and not Path(network[key]).exists():
                raise ConfigurationError(
                    f"observations.{name}.{key}: {network[key]} is missing; provide the file, or name another"
                )


def _check_segments(segments: dict[str, dict[str, Any]]) -> None:
    """Refuse segments that start on the same day of the year: forced by a climatology, they would be the same run."""
    seen: dict[str, str] = {}
    for name, segment in segments.items():
        day = f"{parse(segment['start']):%m-%d}"
        if day in seen:
            raise ConfigurationError(
                f"example.segments.{name}.start: same day of the year as segment {seen[day]}, hence the same run; "
                "choose another"
            )
        seen[day] = name
