"""The network that is simulated."""
