"""Settings of background errors and of their finetuning: the keys of the configuration's section `methods`.

Snakemake imports this at every start, so it does not import torch.
"""

from dataclasses import dataclass

from ..settings import setting

#: what the covariance of the members is made of
COVARIANCES = ("genbe", "localised")
#: of an ensemble, see `background.ensemble.perturbations`
NORMALISATIONS = ("member", "amplitude", "spread")


#: of the networks of a VAE in an analysis
PRECISIONS = ("float32", "bfloat16")

#: in place of a number
ADAPTIVE = "adaptive"


@dataclass(frozen=True, kw_only=True)
class BackgroundWeight:
    """Settings of all variational methods."""

    background_weight: float | str = setting(
        "lambda, the weight of the background term (4 in the paper); or `adaptive`: the variance of every part of the "
        "background error is estimated from the innovations of past cycles, so that 2 J / p is 1",
        schema={
            "description": f"a number above 0, or {ADAPTIVE}",
            "anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"const": ADAPTIVE}],
        },
    )
    observation_errors: str = setting(
        "`declared`, or `adaptive`: with an adaptive `background_weight`, the variance of the observation errors is "
        "estimated from innovations as well, with one factor per type of report",
        default="declared",
        choices=("declared", ADAPTIVE),
    )


@dataclass(frozen=True)
class LocalisedSettings(BackgroundWeight):
    """Settings of all hybrids."""

    alpha: float = setting("share of the static variance; the paper's best is 0.64", minimum=0, maximum=1)
    horizontal_localisation: float | None = setting(
        "length scale of the Gaussian localisation in km; `null` turns it off", above=0
    )
    vertical_localisation: float | None = setting(
        "length scale of the Gaussian localisation in ln p; `null` turns it off", above=0
    )
    ensemble_amplitude: float = setting("factor applied to the members' perturbations", above=0)
    minimum_members: int = setting(
        "smallest ensemble that is used; with fewer members, only the static part is used", minimum=2
    )


@dataclass(frozen=True)
class HybridSettings(LocalisedSettings):
    """Settings of `hybrid`."""

    ensemble_covariance: str = setting(
        "`genbe`: GEN_BE fitted to the members, as in the paper; `localised`: the localised members themselves",
        choices=COVARIANCES,
    )


@dataclass(frozen=True)
class LETKFSettings:
    """Settings of `letkf`."""

    horizontal_localisation: float | None = setting(
        "length scale L in km of the Gaussian that the taper resembles, defined as for `hybrid`; the Gaspari-Cohn "
        "taper of the observations' precision ends at 3.65 L; `null` turns localisation off",
        above=0,
    )
    vertical_localisation: float | None = setting(
        "the same in ln p; `null` turns it off and is faster, with one analysis per column instead of one per level",
        above=0,
    )
    relaxation: float = setting(
        "relaxation of the analysis spread to the background spread: 1 restores the background spread, 0 keeps the "
        "filter's own",
        minimum=0,
        maximum=1,
    )
    additive_error: float = setting(
        "standard deviation of the error added to each member's forecast, divided by that of the forecast model's "
        "error over the time between analyses",
        minimum=0,
    )
    inflation: float = setting("factor applied to the background perturbations; 1 means no inflation", minimum=1)


@dataclass(frozen=True, kw_only=True)
class VAESettings(BackgroundWeight):
    """Settings of analyses of all methods with a VAE."""

    residual_amplitude: float = setting(
        "factor applied to the residual, the covariance that decoded samples lack; 0 is the published method",
        minimum=0,
    )
    precision: str = setting(
        "number format in which an analysis runs the decoder's network: `float32`, or `bfloat16` where the device has "
        "it, which is faster for large networks; all else is float32",
        default="float32",
        choices=PRECISIONS,
    )


@dataclass(frozen=True)
class HybridVAESettings(LocalisedSettings, VAESettings):
    """Settings of `hybrid_vae`."""


@dataclass(frozen=True)
class FinetuneSettings:
    """Settings of all finetuning on an ensemble."""

    member_source: str = setting(
        "the ensemble used for finetuning: the system's `own` members of the cycle or, as controls, members of "
        "`other_days` or samples of the training set (`nmc`)",
        choices=("own", "other_days", "nmc"),
    )
    normalisation: str = setting(
        "how the ensemble is normalised: `member` (published; removes all amplitude), `amplitude` (keeps differences "
        "between places, channels and members) or `spread` (also keeps the spread of the day)",
        choices=NORMALISATIONS,
    )
    ensemble_amplitude: float = setting("factor applied to the members' perturbations", above=0)
    minimum_members: int = setting(
        "smallest ensemble that is used; with fewer members, the VAE is used without finetuning", minimum=2
    )


@dataclass(frozen=True)
class TrainedFinetuneSettings(FinetuneSettings):
    """Settings of finetuning by gradient descent."""

    carry_over: bool = setting(
        "start from the adapters (or weights) of the previous cycle; `false` starts from the pretrained VAE"
    )
    epochs: int = setting("epochs of finetuning per cycle", minimum=1)
    batch: int = setting("members per update", minimum=1)
    learning_rate: float = setting("learning rate of the finetuning", above=0)


@dataclass(frozen=True)
class AdapterSettings:
    """The adapters that are added to a VAE and finetuned.

    Attributes
    ----------
    targets : str
        A key of `background.lora.TARGETS`: linear maps of the attention blocks; ``latents``, a dense adapter of the
        decoder's first linear map; or ``scale``, one number for all latents.
    rank : int
        Rank of the adapters; not used with ``scale``.
    alpha : float
        Adapters of the blocks are scaled by alpha / rank.
    """

    targets: str = "query"
    rank: int = 2
    alpha: float = 2.0


@dataclass(frozen=True)
class LoraFinetuneSettings(TrainedFinetuneSettings):
    """Settings of the finetuning of adapters in the attention blocks."""

    alpha: float = setting("LoRA's alpha: adapters are scaled by alpha / rank", above=0)
    targets: str = setting(
        "linear maps of the attention blocks that are adapted: `query` (published), `query_key_value` or `all_linear`",
        choices=("query", "query_key_value", "all_linear"),
    )
