"""The analysis methods, a module each: what is defined here may be named in the configuration."""
