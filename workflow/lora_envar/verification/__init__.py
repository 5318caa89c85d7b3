"""Verification: scores, significance, gates, figures and the report."""

#: level of significance of every table, for p-values adjusted for their number
SIGNIFICANCE = 0.05

#: in words, for every page with such a table
ABOUT_SIGNIFICANCE = (
    "A difference is that of the mean RMSE over the cycles that both experiments have, in percent of the reference's "
    "RMSE. The 95 % intervals are those of the ratio of both means, resampled in circular blocks whose length is "
    "found from the data. A difference stands out if p, adjusted for the number of comparisons with that reference "
    f"(Benjamini and Hochberg), is below {SIGNIFICANCE}."
)

#: length of the forecast that must keep its mean and variance, in hours, if `verification.rollout_hours` is not given
ROLLOUT_HOURS = 240
