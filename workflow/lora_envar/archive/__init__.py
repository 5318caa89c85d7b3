"""Reanalysis archives: where they come from and the one layout they are brought into."""
