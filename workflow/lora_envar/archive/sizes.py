"""Sizes with which downloads are estimated before they start."""

FLOAT = 4  # bytes
GRIB_VALUE = 2  # bytes per value of the Climate Data Store's GRIB, packed to 16 bits
ERA5_POINTS = 721 * 1440
