"""The source of the example's archive."""
