"""Verification: scores, significance, gates, figures and the report."""

#: length of the forecast that must keep its mean and variance, in hours
ROLLOUT_HOURS = 240
