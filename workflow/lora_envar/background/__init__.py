"""Background error: NMC samples, the Gaussian and the learned error model, ensembles, low-rank adapters."""
