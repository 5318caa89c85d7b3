"""Settings of background errors and of their finetuning: what the configuration's section `methods` may say.

Snakemake reads this at every start: it imports no torch.
"""

from dataclasses import dataclass

from ..settings import setting

#: what the covariance of the members is made of
COVARIANCES = ("genbe", "localised")
#: of an ensemble, see `background.ensemble.perturbations`
NORMALISATIONS = ("member", "amplitude", "spread")


#: in place of a number
ADAPTIVE = "adaptive"


@dataclass(frozen=True, kw_only=True)
class BackgroundWeight:
    """Settings of all variational methods."""

    background_weight: float | str = setting(
        "lambda, the weight of the background term, the paper has 4; or `adaptive`: the variance of every part of the "
        "background error is found from the innovations of past cycles, so that 2 J / p is 1",
        schema={
            "description": f"a number above 0, or {ADAPTIVE}",
            "anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"const": ADAPTIVE}],
        },
    )
    observation_errors: str = setting(
        "`declared`, or `adaptive`: with an adaptive `background_weight`, their variance too is found from "
        "innovations, one factor per type of report",
        default="declared",
        choices=("declared", ADAPTIVE),
    )


@dataclass(frozen=True)
class LocalisedSettings(BackgroundWeight):
    """Settings of all hybrids."""

    alpha: float = setting("share of the static variance; the paper's best is 0.64", minimum=0, maximum=1)
    horizontal_localisation: float | None = setting(
        "length of the Gaussian localisation in km; `null` does not localise", above=0
    )
    vertical_localisation: float | None = setting(
        "length of the Gaussian localisation in ln p; `null` does not localise", above=0
    )
    ensemble_amplitude: float = setting("factor of the members' perturbations", above=0)
    minimum_members: int = setting("smallest ensemble that is used; with fewer members the static part is", minimum=2)


@dataclass(frozen=True)
class HybridSettings(LocalisedSettings):
    """Settings of `hybrid`."""

    ensemble_covariance: str = setting(
        "`genbe`, fitted to the members as in the paper, or `localised`, the members themselves",
        choices=COVARIANCES,
    )


@dataclass(frozen=True)
class LETKFSettings:
    """Settings of `letkf`."""

    horizontal_localisation: float | None = setting(
        "length L in km of the Gaussian that the taper resembles, as of `hybrid`; the Gaspari-Cohn taper of the "
        "observations' precision ends at 3.65 L; `null` does not localise",
        above=0,
    )
    vertical_localisation: float | None = setting(
        "the same in ln p; `null` does not localise, and is faster: one analysis a column in place of one a level",
        above=0,
    )
    relaxation: float = setting(
        "relaxation of the analyses' spread to that of the backgrounds: 1 restores it, 0 leaves the filter's",
        minimum=0,
        maximum=1,
    )
    additive_error: float = setting(
        "standard deviation of what is added to each member's forecast, over that of the forecast model's errors in "
        "the time between analyses",
        minimum=0,
    )
    inflation: float = setting("factor of the backgrounds' perturbations; 1 does not inflate", minimum=1)


@dataclass(frozen=True)
class VAESettings(BackgroundWeight):
    """Settings of the analyses of all methods with a VAE."""

    residual_amplitude: float = setting(
        "factor of the residual, what decoded samples do not hold; 0 is the published method", minimum=0
    )


@dataclass(frozen=True)
class HybridVAESettings(LocalisedSettings, VAESettings):
    """Settings of `hybrid_vae`."""


@dataclass(frozen=True)
class FinetuneSettings:
    """Settings of all finetuning on an ensemble."""

    member_source: str = setting(
        "what is finetuned on: the system's `own` members of the cycle, or, as controls, members of `other_days` or "
        "samples of the training set (`nmc`)",
        choices=("own", "other_days", "nmc"),
    )
    normalisation: str = setting(
        "of the ensemble: `member` (published, removes all amplitude), `amplitude` (keeps what differs between places, "
        "channels and members) or `spread` (keeps the spread of the day too)",
        choices=NORMALISATIONS,
    )
    ensemble_amplitude: float = setting("factor of the members' perturbations", above=0)
    minimum_members: int = setting("smallest ensemble that is used; with fewer members the VAE stays", minimum=2)


@dataclass(frozen=True)
class TrainedFinetuneSettings(FinetuneSettings):
    """Settings of finetuning by gradient descent."""

    carry_over: bool = setting(
        "start from the adapters (or weights) of the cycle before; `false` starts from the pretrained VAE"
    )
    epochs: int = setting("of the finetuning, per cycle", minimum=1)
    batch: int = setting("members per update", minimum=1)
    learning_rate: float = setting("of the finetuning", above=0)


@dataclass(frozen=True)
class AdapterSettings:
    """What is added to a VAE to be finetuned.

    Attributes
    ----------
    targets : str
        A key of `background.lora.TARGETS`: linear maps of the attention blocks; ``latents``, a dense adapter of the
        decoder's first linear map; or ``scale``, one number for all latents.
    rank : int
        Of an adapter; of no use with ``scale``.
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
        "which linear maps of the attention blocks are adapted: `query` (published), `query_key_value` or `all_linear`",
        choices=("query", "query_key_value", "all_linear"),
    )
