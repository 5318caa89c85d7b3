# Which files the rules of each stage read.


NMC_BLOCKS = blocks_between(NMC_START, NMC_END, NMC_START, config["nmc"]["block_days"])


def nmc_times(block):
    return block_times(
        block,
        NMC_START,
        NMC_END,
        config["nmc"]["block_days"],
        config["nmc"]["every_hours"],
    )


def day_times(day):
    """The analysis times of a day that any experiment has."""
    wanted = {t for name in EXPERIMENTS for t in cycles(name) if t.startswith(day)}
    return sorted(wanted)


# The first background of every experiment comes from the reanalysis, all others from the analysis before.
FIRST = "|".join(f"{name}/{cycles(name)[0]}" for name in EXPERIMENTS)


def lags(wildcards):
    """Valid times of the 6 h forecasts whose runs reach `time`: the youngest first, none older than the experiment."""
    entry = EXPERIMENTS[wildcards.experiment]
    first = cycles(wildcards.experiment)[0]
    valid = [shift(wildcards.time, -STEP * lag) for lag in range(entry["ensemble"])]
    return [time for time in valid if parse_time(time) > parse_time(first)]


def adapters_before(wildcards):
    if not settings(wildcards.experiment)["carry_over"]:
        return []
    before = shift(wildcards.time, -STEP)
    if parse_time(before) < period(wildcards.experiment)[0]:
        return []
    return f"results/{wildcards.experiment}/{before}/adapters.safetensors"


def error_model_files(wildcards):
    method = method_of(wildcards.experiment)
    folder = f"results/{wildcards.experiment}/{wildcards.time}"
    files = {
        None: {},
        "gaussian": {"gaussian": "results/background/gaussian.safetensors"},
        "vae": {
            "vae": "results/background/vae.safetensors",
            "residual": "results/background/residual.safetensors",
        },
    }[method.error_model]
    if method.adapters:
        files["adapters"] = f"{folder}/adapters.safetensors"
    return files


def scored_files(kind):
    return lambda wildcards: expand(
        "results/{experiment}/{time}/{kind}.nc",
        experiment=wildcards.experiment,
        time=cycles(wildcards.experiment),
        kind=kind,
    )


# models are judged on the period of the experiments, apart from what they were fitted to
FIRST_CYCLE = min(period(experiment)[0] for experiment in EXPERIMENTS)


# The report shows the last cycle of the first experiment that assimilates with the richest method.
SHOWN = max(
    EXPERIMENTS,
    key=lambda name: (
        method_of(name).adapters,
        method_of(name).error_model is not None,
    ),
)
