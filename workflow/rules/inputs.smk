# Which files the rules of the archive, the background, the observations and the cycles read.


NMC_BLOCKS = blocks_between(NMC_START, NMC_END, NMC_START, config["nmc"]["block_days"])


def grid_of(block):
    return TRAINING["grid"] if block.startswith("training_") else config["grid"]


def archive_of(block):
    """The section `archive`, as a block of it, of its finer period or of the training archive is to be fetched."""
    archive = config["archive"]
    if block.startswith("training_"):
        return TRAINING["archive"]
    return {**archive, **archive["finer"]} if block.startswith("finer_") else archive


def source_of(block):
    """Of a block's section `archive` what decides on the values of its states; its times are given apart."""
    apart = ("start", "end", "step_hours", "block_days", "finer")
    return {key: value for key, value in archive_of(block).items() if key not in apart}


def archive_paths(block):
    """Files or folders that a block of the archive is made from, where these are brought."""
    archive = archive_of(block)
    return [archive["path"]] if archive["source"] in ("example", "files") else []


def archive_times(block):
    archive = archive_of(block)
    start, end = parse_time(archive["start"]), parse_time(archive["end"])
    return block_times(block, start, end, archive["block_days"], archive["step_hours"])


def nmc_times(block):
    return block_times(
        block,
        NMC_START,
        NMC_END,
        config["nmc"]["block_days"],
        config["nmc"]["every_hours"],
    )


@cache
def times_by_day():
    """The times at which observations are wanted, by the day of the analyses that want them."""
    days = {}
    for name in EXPERIMENTS:
        offsets = slots(name)
        for time in cycles(name):
            wanted = days.setdefault(time[:8], set())
            wanted.update(shift(time, offset) for offset in offsets)
    return {day: sorted(wanted) for day, wanted in days.items()}


def day_times(day):
    """The times at which a day's analyses want observations."""
    return times_by_day().get(day, [])


def networks(source, origin=None):
    """Names of the networks of a source, and with reports from an origin: a key of theirs."""
    return [
        name
        for name, network in config["observations"].items()
        if network["source"] == source and (origin is None or origin in network)
    ]


def any_of(names):
    """A pattern for a wildcard; one that nothing matches where there are no names."""
    return "|".join(names) or "(?!)"


def own_prepbufr_file(network, time):
    """The user's own file of a cycle, or None."""
    pattern = config["observations"][network].get("path")
    return pattern and parse_time(time).strftime(pattern)


def prepbufr_file(wildcards):
    """The user's own file of a cycle, or what is downloaded or simulated."""
    own = own_prepbufr_file(wildcards.network, wildcards.time)
    if own:
        return present(own)
    return (
        f"results/observations/{wildcards.network}/prepbufr/{wildcards.time}.prepbufr"
    )


def own_prepbufr_files():
    """The user's own files of all cycles that are wanted, with the key that names them."""
    return [
        (f"observations.{network}.path", own_prepbufr_file(network, time))
        for network in networks("prepbufr", "path")
        for day in times_by_day()
        for time in gdas_cycles_of(network, day)
    ]


def files_of_network(network, names):
    """Those of the files that a network names which it has, by name."""
    entry = config["observations"][network]
    return {name: entry[name] for name in names if entry.get(name)}


def network_files(*names):
    """An input function: files of a network, by name."""
    return lambda wildcards: {
        name: present(path)
        for name, path in files_of_network(wildcards.network, names).items()
    }


def network_digests(*names):
    """A function for params: digests of these files."""
    return lambda wildcards: digests(
        files_of_network(wildcards.network, names).values()
    )


def network_settings(*names):
    """A function for params: those settings of a network that a rule needs."""
    return lambda wildcards: {
        name: config["observations"][wildcards.network].get(name) for name in names
    }


def decoded_digests(wildcards):
    """Digests of the files that a cycle's reports are decoded from and with, where they are brought."""
    own = own_prepbufr_file(wildcards.network, wildcards.time)
    files = files_of_network(wildcards.network, ("orography", "error_table"))
    return digests([*files.values(), *([own] if own else [])])


def gdas_cycles(wildcards):
    """The cycles (every 6 h, with reports of 3 h before and after) that the windows of a day reach into."""
    return gdas_cycles_of(wildcards.network, wildcards.day)


def gdas_cycles_of(network, day):
    half = timedelta(hours=config["observations"][network]["half_window_hours"])
    nominal = {
        (parse_time(time) + side).timestamp() + 3 * 3600
        for time in day_times(day)
        for side in (-half, half - timedelta(seconds=1))
    }
    starts = sorted({int(stamp) // 21600 * 6 for stamp in nominal})
    return [time_name(from_hours(hours)) for hours in starts]


def departure_checks(experiment):
    """What an experiment's network says of checks of O - B, or None."""
    network = config["observations"][EXPERIMENTS[experiment]["observations"]]
    names = ("background_check", "buddy_check", "buddy_distance_km")
    return (
        {name: network[name] for name in names}
        if network["source"] == "prepbufr"
        else None
    )


def departure_files(wildcards):
    """The background's errors, where O - B is checked."""
    if departure_checks(wildcards.experiment) is None:
        return {}
    return {"background_deviation": "results/background/nmc_training_set.nc"}


def frames(start):
    """Files of the archive with the state at a start, and with the frame before it for models that need that."""
    return archive_files(start - timedelta(hours=FRAME_HOURS), start)


def analysis_before(experiment, start):
    """The analysis one frame before a start, for models of two frames, where there is one."""
    before = shift(start, -FRAME_HOURS)
    if not FRAME_HOURS or before not in cycles(experiment):
        return []
    return [f"results/{experiment}/{before}/analysis.nc"]


def window_of(experiment):
    """The entry of `windows` that an experiment names, or None."""
    return config.get("windows", {}).get(EXPERIMENTS[experiment].get("window"))


def slots(experiment):
    """Hours after an analysis time at which its observations lie."""
    window = window_of(experiment) or {"slots": 1, "slot_hours": 0}
    return [slot * window["slot_hours"] for slot in range(window["slots"])]


def window_files(wildcards):
    window = window_of(wildcards.experiment)
    if window is None:
        return {}
    name = EXPERIMENTS[wildcards.experiment]["window"]
    return {
        "window_model": present(*model_files(window["model"])),
        "forecast_error": f"results/background/forecast_error_{name}.csv",
    }


def single_step(experiment):
    """Whether every background comes from the reanalysis."""
    return EXPERIMENTS[experiment].get("background") == "single_step"


# The first background of every experiment comes from the reanalysis, all others from the analysis before.
FIRST = "|".join(
    f"{name}/{time}"
    for name in EXPERIMENTS
    for time in (cycles(name) if single_step(name) else cycles(name)[:1])
)


def later_cycles(with_ensemble):
    """A pattern for experiments, with an ensemble or without, whose backgrounds come from the analysis before.

    It does not match in the path of a first background: every file has one rule that makes it.
    """
    names = [
        name
        for name in EXPERIMENTS
        if method_of(name).ensemble == with_ensemble and not single_step(name)
    ]
    first = [f"{name}/{cycles(name)[0]}" for name in names]
    return f"(?!({any_of(first)})/)({any_of(names)})"


def cycle_before(wildcards):
    """The analysis time before one of an experiment's cycles; others are refused, as they would lead back for ever."""
    experiment, time = wildcards.experiment, wildcards.time
    known = cycles(experiment)
    if time not in known[1:]:
        raise WorkflowError(
            f"results/{experiment}/{time}: is no cycle of {experiment}, which has {known[0]} to {known[-1]}, every "
            f"{STEP} h (experiments.{experiment}.period)"
        )
    return shift(time, -STEP)


def block_of(wildcards):
    """The submission to a cluster that a step of a cycle belongs to: one for the cycles of some days.

    Cycles of a single-step experiment do not wait for each other, each is a submission.
    """
    first = wildcards.get("first") or f"{wildcards.experiment}/{wildcards.time}"
    experiment, time = first.split("/")
    if single_step(experiment):
        return f"{experiment}_{time}"
    start = period(experiment)[0]
    block = timedelta(days=config["cycling"].get("block_days", 1))
    number = (parse_time(time) - start) // block
    return f"{experiment}_{time_name(start + number * block)}"


def lags(experiment, time):
    """Valid times of the 6 h forecasts whose runs reach `time`: the youngest first, none older than the experiment."""
    first = cycles(experiment)[0]
    size = ensemble_sizes(EXPERIMENTS[experiment])[0]
    valid = [shift(time, -STEP * lag) for lag in range(size)]
    return [
        valid_time for valid_time in valid if parse_time(valid_time) > parse_time(first)
    ]


def reanalysis_forecasts(time, count):
    """Files of the `count` forecasts from the reanalysis that reach `time`, the youngest first."""
    starts = [shift(time, -STEP * lag) for lag in range(1, count + 1)]
    return expand("results/reanalysis_forecasts/{start}.nc", start=starts)


def reanalysis_leads():
    """How many leads any experiment takes from a forecast that starts from the reanalysis."""
    sizes = {name: ensemble_sizes(entry) for name, entry in EXPERIMENTS.items()}
    return max(
        max(lags * single_step(name), last_year)
        for name, (lags, last_year) in sizes.items()
    )


def members_valid(wildcards):
    """The experiment whose members are finetuned on, and when they are valid.

    Members of other days are the donor's of half a period later, on a circle of the cycles with a whole ensemble.
    """
    experiment, time = wildcards.experiment, wildcards.time
    if settings(experiment)["member_source"] != "other_days":
        return experiment, time
    donor = EXPERIMENTS[experiment]["donor"]
    younger = 0 if single_step(donor) else ensemble_sizes(EXPERIMENTS[donor])[0]
    whole = cycles(donor)[younger:]
    since = parse_time(time) - parse_time(whole[0])
    index = since // timedelta(hours=STEP) + len(whole) // 2
    return donor, whole[index % len(whole)]


def member_files(experiment, time):
    """Files of the ensemble's forecasts that start less than its size before `time`."""
    if single_step(experiment):
        return reanalysis_forecasts(time, ensemble_sizes(EXPERIMENTS[experiment])[0])
    return [
        f"results/{experiment}/{valid}/members.nc" for valid in lags(experiment, time)
    ]


def last_year_files(experiment, time):
    """Files of the ensemble's forecasts of the same date a year before."""
    count = ensemble_sizes(EXPERIMENTS[experiment])[1]
    return reanalysis_forecasts(year_before(time), count)


def finetune_samples_of_last_year(wildcards):
    if settings(wildcards.experiment)["member_source"] == "nmc":
        return []
    return last_year_files(*members_valid(wildcards))


def finetune_samples(wildcards):
    if settings(wildcards.experiment)["member_source"] == "nmc":
        return "results/background/nmc_training_set.nc"
    return member_files(*members_valid(wildcards))


def finetuned_file(experiment, time):
    name = {"adapters": "adapters", "all": "vae"}[method_of(experiment).finetunes]
    return f"results/{experiment}/{time}/{name}.safetensors"


def finetuned_before(wildcards):
    method = method_of(wildcards.experiment)
    if not method.settings_of_finetune(settings(wildcards.experiment))["carry_over"]:
        return []
    before = shift(wildcards.time, -STEP)
    if parse_time(before) < period(wildcards.experiment)[0]:
        return []
    return finetuned_file(wildcards.experiment, before)


def background_error_files(wildcards):
    method = method_of(wildcards.experiment)
    files = {
        None: {},
        "genbe": {"genbe": "results/background/genbe.safetensors"},
        "hybrid": {"genbe": "results/background/genbe.safetensors"},
        "gaussian": {"gaussian": "results/background/gaussian.safetensors"},
        "vae": {
            "vae": "results/background/vae.safetensors",
            "residual": "results/background/residual.safetensors",
        },
    }[method.background_error]
    if method.ensemble and not method.finetunes:
        files["members"] = member_files(wildcards.experiment, wildcards.time)
        files["last_year"] = last_year_files(wildcards.experiment, wildcards.time)
    if method.finetunes:
        files["finetuned"] = finetuned_file(wildcards.experiment, wildcards.time)
    return files


def forecast_error_starts(window):
    """Starts of the forecasts whose errors are measured, so that all end in the period."""
    entry = config["windows"][window]
    start, end, every_hours = measured_in(window)
    last = end - timedelta(hours=(entry["slots"] - 1) * entry["slot_hours"])
    return [time_name(time) for time in times(start, last, every_hours)]


def measured_in(window):
    """When a window's model is judged: first and last time, and hours between forecasts."""
    period = config["windows"][window].get("measured_in")
    if not period:
        return NMC_START, NMC_END, 24
    return parse_time(period["start"]), parse_time(period["end"]), period["every_hours"]
