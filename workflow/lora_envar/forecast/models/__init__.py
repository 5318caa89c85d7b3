"""The forecast models, a module each: what is declared here may be named in the configuration."""
