"""The network of emulator and VAE, and how networks are trained."""
