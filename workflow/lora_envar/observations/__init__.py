"""Observations: simulated networks, tables in files, and operators."""
