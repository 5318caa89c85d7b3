"""Verification: scores, significance, gates, figures and the report."""
