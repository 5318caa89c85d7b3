"""Settings of background errors and of their finetuning: what the configuration's section `methods` may say.

Snakemake reads this at every start: it imports no torch.
"""

from dataclasses import dataclass

from ..settings import setting

#: what the covariance of the members is made of
COVARIANCES = ("genbe", "localised")
#: of an ensemble, see `background.ensemble.perturbations`
NORMALISATIONS = ("member", "amplitude", "spread")


@dataclass(frozen=True)
class BackgroundWeight:
    """Settings of all variational methods."""

    background_weight: float = setting("lambda, the weight of the background term; the paper has 4", above=0)


@dataclass(frozen=True)
class HybridSettings(BackgroundWeight):
    """Settings of `hybrid`."""

    alpha: float = setting("share of the static variance; the paper's best is 0.64", minimum=0, maximum=1)
    ensemble_covariance: str = setting(
        "`genbe`, fitted to the members as in the paper, or `localised`, the members themselves",
        choices=COVARIANCES,
    )
    horizontal_localisation: float | None = setting(
        "length of the Gaussian localisation in km; `null` does not localise", above=0
    )
    vertical_localisation: float | None = setting(
        "length of the Gaussian localisation in ln p; `null` does not localise", above=0
    )
    ensemble_amplitude: float = setting("factor of the members' perturbations", above=0)
    minimum_members: int = setting("smallest ensemble that is used; with fewer members the static part is", minimum=2)


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
    carry_over: bool = setting(
        "start from the adapters (or weights) of the cycle before; `false` starts from the pretrained VAE"
    )
    minimum_members: int = setting("smallest ensemble that is used; with fewer members the VAE stays", minimum=2)
    epochs: int = setting("of the finetuning, per cycle", minimum=1)
    batch: int = setting("members per update", minimum=1)
    learning_rate: float = setting("of the finetuning", above=0)


@dataclass(frozen=True)
class LoraFinetuneSettings(FinetuneSettings):
    """Settings of the finetuning of adapters."""

    alpha: float = setting("LoRA's alpha: adapters are scaled by alpha / rank", above=0)
    targets: str = setting(
        "what is adapted: `query` (published), `query_key_value` or `all_linear` in the attention blocks, or "
        "`latents`: a dense adapter of the decoder's first linear map, whose minimum is known, so that `alpha`, "
        "`epochs`, `learning_rate` and `carry_over` are of no use",
        choices=("query", "query_key_value", "all_linear", "latents"),
    )
