"""Physical constants, each defined once. The nature run uses those of its own model (`example_world.nature`)."""

EARTH_RADIUS = 6.371e6  # m
EARTH_RADIUS_KM = EARTH_RADIUS / 1e3
EARTH_ROTATION = 7.292e-5  # rad s-1
GRAVITY = 9.80665  # m s-2, the standard one: geopotential is height times this
GAS_CONSTANT = 287.05  # J kg-1 K-1, dry air
VAPOUR_GAS_CONSTANT = 461.52  # J kg-1 K-1
LAPSE_RATE = 6.5e-3  # K m-1, the standard atmosphere's
