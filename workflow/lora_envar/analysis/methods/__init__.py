"""The analysis methods, one module each: the configuration may name what is defined here."""
