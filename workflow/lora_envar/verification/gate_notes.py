"""What a failed gate means: why it happens, and whether it matters."""

#: gate -> a sentence or two; `close to` stands for all gates that begin so
NOTES = {
    "beats persistence": (
        "At this lead the forecast model is no better than persistence. Members of that age then say nothing, and "
        "scores of longer forecasts mean nothing; shorter leads are not affected."
    ),
    "damps noise": (
        "The model makes noise grow that is added to a state: increments at the smallest scales then pollute the "
        "next background. All experiments are affected alike."
    ),
    "long forecast": (
        "A long forecast drifts, or loses or gains variance. This matters for forecasts of that length, but hardly "
        "for the six hours of a cycle."
    ),
    "explained variance": (
        "The VAE has too few latents, or was trained too little. If a residual is used, "
        "it replaces what is missing; otherwise the increments lack it."
    ),
    "centred": (
        "The VAE decodes an increment from zero latents. The analysis subtracts it, so this shows only its training."
    ),
    "white latents": (
        "Encoded errors do not have unit variance: the background term then has the wrong weight, which an "
        "adaptive amplitude corrects."
    ),
    "samples' standard deviation": (
        "The variance of the error model is not that of forecast errors. An amplitude corrects this if all channels "
        "are wrong alike; if only some are, their increments are too large or too small."
    ),
    "samples' spectrum": (
        "The error model has the wrong share of large or small scales, so that increments are too broad or too "
        "narrow. It matters most where observations are few."
    ),
    "correlations": (
        "Two variables are correlated more or less than in forecast errors: an observation of one says too much or "
        "too little about the other."
    ),
    "map of standard deviation": (
        "The error model does not know where errors are small and where they are large: observations count too "
        "much in one place and too little in another. It costs most with few observations."
    ),
    "standard deviation by latitude": (
        "In that band the error model's variance is wrong by more than a quarter: increments there are too large "
        "or too small."
    ),
    "balance": (
        "Wind and mass are not balanced as in forecast errors: increments of one excite gravity waves, or "
        "use the other's observations less than they could."
    ),
    "analysis below background": (
        "Analyses are hardly better than backgrounds in a channel, or worse: it is observed too little, or the "
        "background error spreads increments of other variables wrongly into it. Conclusions about that channel are "
        "about the forecast model, not about the analysis."
    ),
    "no drift": (
        "Errors still grow in the second half: the spin-up is too short, or the cycle degrades. Mean errors then "
        "depend on how long the period is."
    ),
    "consistency": (
        "Innovations are larger or smaller than the assumed errors predict: the amplitude of the background error "
        "or R is wrong."
    ),
    "convergence": (
        "The minimisation stops before its minimum: what it leaves may be as large as the differences between methods. "
        "Raise minimiser.iterations."
    ),
    "close to": (
        "The learned model is worse than the fitted one that it should match: its training or its "
        "amplitude is at fault, and it is a weak reference for other methods."
    ),
}


def note(gate: str) -> str:
    """What it means that this gate is not passed; empty if nothing general can be said."""
    return next((text for name, text in NOTES.items() if gate == name or gate.startswith(f"{name} ")), "")
