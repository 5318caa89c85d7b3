"""Background errors: NMC samples, Gaussian and learned error models, ensembles, and low-rank adapters."""
