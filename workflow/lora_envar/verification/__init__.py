"""Verification: scores, significance, gates, figures and the report."""

#: level of significance of every table, for p-values adjusted for their number
SIGNIFICANCE = 0.05

#: in words, for every page with such a table
ABOUT_SIGNIFICANCE = (
    "Differences are those of mean RMSE over the cycles that both experiments have, in percent of the reference's, "
    "with 95 % intervals of the ratio of both means, resampled in circular blocks whose length is found from the data; "
    "they stand out where p, adjusted for the number of comparisons with that reference (Benjamini and Hochberg), is "
    f"below {SIGNIFICANCE}."
)

#: length of the forecast that must keep its mean and variance, in hours, if `verification.rollout_hours` is not given
ROLLOUT_HOURS = 240
