"""Rule surface_height: the height of the surface of the example's world, from its states."""

from lora_envar.runtime.step import step

with step(snakemake) as clock:
    with clock.imports():
        import xarray as xr
        from lora_envar.example_world.nature import NATURE_GRID, NATURE_TRUNCATION, surface_height
        from lora_envar.example_world.packed import read_coefficients
        from lora_envar.fields.harmonics import SphericalHarmonics
        from lora_envar.files.atomic import atomic_write
        from lora_envar.files.netcdf import provenance

    coefficients = read_coefficients(snakemake.input[0])[1][::10]
    height = surface_height(SphericalHarmonics(NATURE_GRID, NATURE_TRUNCATION).synthesise(coefficients).numpy())
    attributes = {"standard_name": "surface_altitude", "units": "m"}
    coordinates = {
        "latitude": ("latitude", NATURE_GRID.latitude, {"standard_name": "latitude", "units": "degrees_north"}),
        "longitude": ("longitude", NATURE_GRID.longitude, {"standard_name": "longitude", "units": "degrees_east"}),
    }
    field = xr.DataArray(height.astype("f4"), coordinates, ("latitude", "longitude"), attrs=attributes)
    dataset = field.to_dataset(name="orography").assign_attrs(provenance(title="Height of the surface"))
    with atomic_write(snakemake.output[0]) as temporary:
        dataset.to_netcdf(temporary, engine="netcdf4")
