"""The types of observations: what is defined here may appear in tables and be assimilated."""
