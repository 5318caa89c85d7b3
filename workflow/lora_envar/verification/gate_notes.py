"""What it means that a gate is not passed: why that happens, and whether it matters."""

#: gate -> a sentence or two; `close to` stands for all gates that begin so
NOTES = {
    "beats persistence": (
        "At this lead the forecast model is no better than no change. Members of that age then say nothing, and "
        "scores of forecasts beyond it have no meaning; shorter leads are not touched."
    ),
    "damps noise": (
        "The model makes noise in an analysis grow: increments at the smallest scales pollute the next "
        "background. It matters to every experiment alike."
    ),
    "long forecast": (
        "A long forecast drifts, or loses or gains variance. It matters to forecasts of that length, and hardly "
        "to the six hours of a cycle."
    ),
    "explained variance": (
        "The VAE has too few latents, or was trained too little, for what it is to hold. Where a residual is used "
        "it stands in for what is missing; where none is, increments lack it."
    ),
    "centred": (
        "The VAE decodes an increment from no latents: the analysis subtracts it, so this says only how it was trained."
    ),
    "white latents": (
        "Encoded errors are not of unit variance: the background term then has the wrong weight, which an "
        "adaptive amplitude takes back."
    ),
    "samples' standard deviation": (
        "The error model has another variance than forecast errors have. An amplitude mends it where all channels "
        "are wrong alike; where single ones are, their increments are too large or too small."
    ),
    "samples' spectrum": (
        "The error model has the wrong share of large or small scales, so that increments are too broad or too "
        "narrow. It matters most where observations are few."
    ),
    "correlations": (
        "Two variables go together more or less than in forecast errors: an observation of one says too much or "
        "too little of the other."
    ),
    "map of standard deviation": (
        "The error model is as uncertain where errors are small as where they are large: observations count too "
        "much in one place and too little in another. It costs most with few observations."
    ),
    "standard deviation by latitude": (
        "In that band the error model's variance is wrong by more than a quarter: increments there are too large "
        "or too small."
    ),
    "balance": (
        "Winds and mass go together otherwise than in forecast errors: increments of one excite gravity waves, or "
        "use less of the other's observations than they could."
    ),
    "analysis below background": (
        "Analyses are hardly better than backgrounds in a channel, or worse: it is observed too little, or the "
        "background error spreads increments of other variables wrongly into it. Conclusions on that channel are "
        "on the forecast model, not on the analysis."
    ),
    "no drift": (
        "Errors still grow in the second half: the spin-up is too short, or the cycle degrades. Mean errors then "
        "depend on how long the period is."
    ),
    "consistency": (
        "Innovations are larger or smaller than assumed errors let expect: the amplitude of the background error "
        "or R is wrong."
    ),
    "close to": (
        "The learned model does worse than the fitted one that it should keep up with: its training or its "
        "amplitude is at fault, and what is compared with it is compared with a weak reference."
    ),
}


def note(gate: str) -> str:
    """What it means that a gate of a name is not passed; empty where nothing general can be said."""
    return next((text for name, text in NOTES.items() if gate == name or gate.startswith(f"{name} ")), "")
