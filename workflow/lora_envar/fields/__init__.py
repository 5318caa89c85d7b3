"""Fields of the atmosphere: the state, grids and transforms between them, constants, valid times, random numbers."""
