"""Sources of reanalyses, one module each: the configuration may name what is defined here."""
