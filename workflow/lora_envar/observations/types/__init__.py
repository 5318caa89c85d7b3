"""The types of observations: what is defined here may stand in tables and be assimilated."""
