"""A simulated network: columns of grid points."""

from ...observations.network import Network


class Simulated(Network):
    """See `example_world.twin`."""

    name = "simulated"
