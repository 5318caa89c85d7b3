"""Kinds of networks of real observations, one module each: what is defined here may be a `source` of observations."""
