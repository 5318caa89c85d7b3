# Which files the rules of verification, diagnostics and storage read.


@cache
def scored_cycles(experiment):
    """An experiment's cycles by the archive's block that they lie in: those of a block are scored together."""
    blocks = {}
    for time in cycles(experiment):
        path = archive_files(*[parse_time(time)] * 2)[0]
        blocks.setdefault(Path(path).stem, []).append(time)
    return blocks


def scores_of(experiments):
    """The scores of all blocks of experiments."""
    return [
        f"results/{experiment}/scores/{block}.csv"
        for experiment in experiments
        for block in scored_cycles(experiment)
    ]


def scored_files(wildcards):
    """Analyses, backgrounds and forecasts of a block's cycles, and the archive that they are scored against."""
    experiment = wildcards.experiment
    scored = scored_cycles(experiment)[wildcards.block]
    starts = [time for time in scored if time in forecast_starts(experiment)]
    leads = config["verification"].get("forecast", {}).get("lead_hours", [])
    first, last = (parse_time(time) for time in (scored[0], scored[-1]))
    ends = [parse_time(start) + timedelta(hours=max(leads)) for start in starts]
    return {
        "analyses": [f"results/{experiment}/{time}/analysis.nc" for time in scored],
        "backgrounds": [
            f"results/{experiment}/{time}/background.nc" for time in scored
        ],
        "forecasts": [f"results/{experiment}/{time}/forecast.nc" for time in starts],
        "archive": archive_files(first, max([last, *ends])),
    }


# models are judged on the period of the experiments, apart from what they were fitted to
FIRST_CYCLE = min(period(experiment)[0] for experiment in COMPARED)


# The report shows the last cycle of the first experiment that assimilates with the richest method.
SHOWN = max(
    COMPARED,
    key=lambda name: (
        method_of(name).finetunes == "adapters",
        method_of(name).background_error is not None,
    ),
)


def analysed_tables():
    """Tables of observations of all analyses that are compared."""
    return [
        f"results/{experiment}/{time}/observations.nc"
        for experiment in COMPARED
        for time in cycles(experiment)
        if method_of(experiment).background_error
    ]


def whole_ensembles(experiment):
    """The analysis times whose ensemble has all its members."""
    size = ensemble_sizes(EXPERIMENTS[experiment])[0]
    return [t for t in cycles(experiment) if len(member_files(experiment, t)) == size]


# Experiments with ensembles of their own forecasts, which `results.md` is to judge.
DIAGNOSED = [
    name
    for name in COMPARED
    if config["verification"].get("ensembles")
    and method_of(name).ensemble
    and settings(name).get("member_source", "own") == "own"
    and len(whole_ensembles(name)) > 1
]


# Experiments whose observations are reports, some of which are withheld to judge them.
REPORTED = [
    name
    for name in COMPARED
    if config["observations"][COMPARED[name]["observations"]]["source"] == "prepbufr"
]
FITS = ["results/observation_fit.csv", "results/rejections.csv"] if REPORTED else []


def needed_blocks():
    """Names of the archive's blocks that the experiments and what they are built from read."""
    paths = set(
        training_files(
            NMC_START, NMC_END + timedelta(hours=2 * config["nmc"]["tau_hours"])
        )
    )
    paths |= set(archive_files(FIRST_CYCLE, archive_end(FIRST_CYCLE)))
    lead = timedelta(hours=config["cycling"]["first_guess_hours"])
    for name in COMPARED:
        first, last = period(name)
        leads = config["verification"].get("forecast", {}).get("lead_hours", [0])
        end = min(archive_end(first), last + timedelta(hours=max(leads)))
        lags, last_year = ensemble_sizes(EXPERIMENTS[name])
        before = timedelta(hours=STEP * lags) if single_step(name) else timedelta(0)
        paths |= set(archive_files(first - max(lead, before), end))
        if last_year:
            dates = [parse_time(year_before(time_name(time))) for time in (first, last)]
            dates[0] -= timedelta(hours=STEP * last_year)
            paths |= set(archive_files(*dates))
    return sorted(Path(path).stem for path in paths)


def storage_counts():
    """How many states, samples and files there will be, see `lora_envar.plan.storage.requirements`."""
    blocks = needed_blocks()
    training = [block for block in blocks if block.startswith("training_")]
    leads = len(config["verification"].get("forecast", {}).get("lead_hours", []))
    days = {
        (EXPERIMENTS[name]["observations"], time[:8])
        for name in REPORTED
        for time in cycles(name)
    }
    downloaded = set(networks("prepbufr", "url"))
    from_reanalysis = {
        path
        for name in COMPARED
        for time in cycles(name)
        for path in member_files(name, time) * single_step(name)
        + last_year_files(name, time)
    }
    return {
        "training_times": sum(len(archive_times(block)) for block in training),
        "archive_times": sum(
            len(archive_times(block)) for block in set(blocks) - set(training)
        ),
        "samples": sum(len(nmc_times(block)) for block in NMC_BLOCKS),
        "reports": 4 * sum(network in downloaded for network, _ in days),
        "reanalysis_members": len(from_reanalysis) * reanalysis_leads(),
        "experiments": {
            name: {
                "cycles": len(cycles(name)),
                "forecasts": leads * len(forecast_starts(name)),
                "members": (0 if single_step(name) else len(cycles(name)) - 1)
                * ensemble_sizes(COMPARED[name])[0],
                "vaes": len(cycles(name)) * (method_of(name).finetunes == "all"),
            }
            for name in COMPARED
        },
    }
