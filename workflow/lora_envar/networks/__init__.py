"""The network of the emulator and the VAE, and the training of networks."""
