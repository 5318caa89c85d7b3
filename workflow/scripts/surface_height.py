"""Rule surface_height: the height of the surface of the example's world, from its states."""

from lora_envar.script import step

with step(snakemake):
    import xarray as xr
    from lora_envar.archive.nature import NATURE_GRID, NATURE_TRUNCATION, surface_height
    from lora_envar.archive.packed import read_coefficients
    from lora_envar.files import whole
    from lora_envar.grid import SphericalHarmonics

    coefficients = read_coefficients(snakemake.input[0])[1][::10]
    height = surface_height(SphericalHarmonics(NATURE_GRID, NATURE_TRUNCATION).synthesise(coefficients).numpy())
    attributes = {"standard_name": "surface_altitude", "units": "m"}
    coordinates = {"latitude": NATURE_GRID.latitude, "longitude": NATURE_GRID.longitude}
    field = xr.DataArray(height.astype("f4"), coordinates, ("latitude", "longitude"), attrs=attributes)
    with whole(snakemake.output[0]) as temporary:
        field.to_dataset(name="orography").to_netcdf(temporary, engine="netcdf4")
