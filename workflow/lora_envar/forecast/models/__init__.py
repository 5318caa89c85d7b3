"""The forecast models, one module each: the configuration may name what is declared here."""
