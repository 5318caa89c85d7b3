"""Kinds of networks of real observations, a module each: what is defined here may be a `source` of observations."""
